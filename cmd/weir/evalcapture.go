package main

import (
	"bufio"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/filter"
	"github.com/weirnet/weir/divertdrv/pcapdrv"
)

// evalCapture prints a digit for each IP packet of a capture, and how many match on standard error.
func evalCapture(cmd *cobra.Command, prog *filter.Program, path string, local []string) error {
	if prog.Layer() != divertdrv.Network {
		return wrongf("a capture has packets of layer network, and the filter is for layer %v", prog.Layer())
	}
	prefixes, err := parsePrefixes(local)
	if err != nil {
		return wrong(err)
	}
	driver, err := pcapdrv.Open(pcapdrv.Options{In: path, Local: prefixes})
	if err != nil {
		return err
	}
	h, err := divertdrv.Open("true", divertdrv.Network, &divertdrv.Options{Driver: driver})
	if err != nil {
		return errors.Join(err, driver.Close())
	}
	out := bufio.NewWriter(cmd.OutOrStdout())
	matched, total, err := evalPackets(h, prog, out)
	err = errors.Join(err, h.Close(), driver.Close(), out.Flush())
	fmt.Fprintf(cmd.ErrOrStderr(), "%d of %d packets match\n", matched, total)
	return err
}

// evalPackets reads to the end of the capture, which is no error.
func evalPackets(h *divertdrv.Handle, prog *filter.Program, out *bufio.Writer) (matched, total int, err error) {
	b := divertdrv.NewBatch(64, 2*divertdrv.MTUMax)
	for {
		if err := h.Recv(b); err != nil {
			if errors.Is(err, divertdrv.ErrShutdown) {
				err = nil
			}
			return matched, total, err
		}
		for i := range b.Packets() {
			p := &b.Packets()[i]
			yes := prog.Match(p.Addr, p.Data, p.Headers())
			if total++; yes {
				matched++
			}
			_, _ = out.WriteString(digit(yes) + "\n") // Flush tells
			p.Set(divertdrv.Pass, 0)
		}
		if err := h.Complete(b); err != nil {
			return matched, total, err
		}
	}
}

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
func evalCapture(cmd *cobra.Command, prog *filter.Program, f *subjectFlags) error {
	matched, total := 0, 0
	out := bufio.NewWriter(cmd.OutOrStdout())
	err := f.eachPacket(prog, func(p *divertdrv.Packet) error {
		yes := prog.Match(p.Addr, p.Data, p.Headers())
		if total++; yes {
			matched++
		}
		_, err := out.WriteString(digit(yes) + "\n")
		return err
	})
	if err != nil && total == 0 {
		return err
	}
	err = errors.Join(err, out.Flush())
	fmt.Fprintf(cmd.ErrOrStderr(), "%d of %d packets match\n", matched, total)
	return err
}

// errEnough: no more packets are wanted, which is no error.
var errEnough = errors.New("enough packets")

// eachPacket calls do for each IP packet of the capture, until it returns an error.
func (f *subjectFlags) eachPacket(prog *filter.Program, do func(p *divertdrv.Packet) error) error {
	if prog.Layer() != divertdrv.Network {
		return wrongf("a capture has packets of layer network, and the filter is for layer %v", prog.Layer())
	}
	return eachPacket(f.capture, f.local, do)
}

// eachPacket calls do for each IP packet of a capture, until it returns an error; errEnough is none.
func eachPacket(capture string, local []string, do func(p *divertdrv.Packet) error) error {
	prefixes, err := parsePrefixes(local)
	if err != nil {
		return wrong(err)
	}
	driver, err := pcapdrv.Open(pcapdrv.Options{In: capture, Local: prefixes})
	if err != nil {
		return err
	}
	h, err := divertdrv.Open("true", divertdrv.Network, &divertdrv.Options{Driver: driver})
	if err != nil {
		return errors.Join(err, driver.Close())
	}
	if err = readPackets(h, do); errors.Is(err, errEnough) {
		err = nil
	}
	return errors.Join(err, h.Close(), driver.Close())
}

// readPackets reads to the end of the capture, which is no error.
func readPackets(h *divertdrv.Handle, do func(p *divertdrv.Packet) error) error {
	b := divertdrv.NewBatch(64, 2*divertdrv.MTUMax)
	for {
		if err := h.Recv(b); err != nil {
			if errors.Is(err, divertdrv.ErrShutdown) {
				return nil
			}
			return err
		}
		var stop error
		for i := range b.Packets() {
			p := &b.Packets()[i]
			if stop == nil {
				stop = do(p)
			}
			p.Set(divertdrv.Pass, 0)
		}
		if err := errors.Join(stop, h.Complete(b)); err != nil {
			return err
		}
	}
}

package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/filter"
)

type explainFlags struct {
	layer         string
	compat22      bool
	batch, asJSON bool
	nth           int
	lower         string
	subjectFlags
}

// explained is a packet, as `weir filter explain --json` prints it.
type explained struct {
	Packet int `json:"packet,omitempty"` // of a capture: from 1, IP packets only
	filter.Explanation
	Linux []whereTest `json:"linux,omitempty"` // with --lower linux
}

func newFilterExplain() *cobra.Command {
	var f explainFlags
	cmd := &cobra.Command{
		Use:   "explain FILTER",
		Short: "Say why a filter takes a packet or not",
		Long: `Shows for each test of a filter what the packet has in that field, what the test says of it (true, false, or not applicable
where the packet has no such field, so that the test fails), and where the way goes on: to another test, to accept or to reject.
The packets are those of a capture (-r; one of them with --nth), or one given in hexadecimal as for 'weir filter eval'.

With --lower linux it says of each test where it is asked when the filter is a handle's: by the eBPF program in the kernel, and at
which hook, or by the exact check in user space, behind a program that lets more through. No packet need be given then.

With --json it prints one JSON object, with -r one on each line. With --batch it reads lines LAYER⇥FILTER⇥ADDRESSHEX⇥PACKETHEX
from standard input and answers each with one line: a JSON object, or "error CODE POS" as described at
'weir filter compile --help'.`,
		Example: `  weir filter explain 'tcp.DstPort == 443 and outbound' -r capture.pcapng --nth 3
  weir filter explain 'tcp and random8 < 10' --lower linux
  weir filter explain 'ip.TTL > 60' --packet 4500001400000000400100007f0000017f000001`,
		Args: oneOrBatch(&f.batch),
		RunE: does(func(cmd *cobra.Command, args []string) error {
			if f.batch {
				return f.lines(cmd)
			}
			return f.one(cmd, args[0])
		}),
	}
	layerFlag(cmd, &f.layer)
	compat22Flag(cmd, &f.compat22)
	cmd.Flags().BoolVar(&f.batch, "batch", false, "read LAYER⇥FILTER⇥ADDRESSHEX⇥PACKETHEX lines from standard input")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print JSON")
	cmd.Flags().IntVar(&f.nth, "nth", 0, "with -r: only this IP `packet`, from 1; 0: all")
	cmd.Flags().StringVar(&f.lower, "lower", "", "say where each test is asked on a `platform`: linux")
	complete(cmd, "lower", []string{"linux"})
	f.flags(cmd)
	cmd.MarkFlagsMutuallyExclusive("batch", "lower")
	cmd.MarkFlagsMutuallyExclusive("batch", "json")
	cmd.MarkFlagsMutuallyExclusive("batch", "nth")
	return cmd
}

func (f *explainFlags) one(cmd *cobra.Command, src string) error {
	prog, err := parseFilter(src, f.layer, f.compat22)
	if err != nil {
		return err
	}
	var where []whereTest
	if f.lower != "" {
		if where, err = whereTests(f.lower, prog); err != nil {
			return err
		}
	}
	switch to := cmd.OutOrStdout(); {
	case f.capture != "":
		err = f.packets(to, prog, where)
	case f.nth != 0:
		return wrongf("--nth goes with -r")
	case where != nil && f.packet == "" && f.address == "":
		if f.asJSON {
			return printJSON(to, struct {
				Linux []whereTest `json:"linux"`
			}{where})
		}
	default:
		err = f.subject(to, prog, where)
	}
	if err != nil || f.asJSON {
		return err
	}
	return printWhere(cmd.OutOrStdout(), where)
}

// subject explains the one packet that is given.
func (f *explainFlags) subject(to io.Writer, prog *filter.Program, where []whereTest) error {
	a, pkt, err := f.given(prog.Layer())
	if err != nil {
		return err
	}
	e := explained{Explanation: prog.Explain(&a, pkt, nil), Linux: where}
	if f.asJSON {
		return printJSON(to, e)
	}
	_, err = fmt.Fprint(to, e.Explanation)
	return err
}

// packets explains the packets of a capture.
func (f *explainFlags) packets(to io.Writer, prog *filter.Program, where []whereTest) error {
	if f.nth < 0 {
		return wrongf("--nth %d: want a number from 1, or 0 for all", f.nth)
	}
	w := bufio.NewWriter(to)
	n := 0
	err := f.eachPacket(prog, func(p *divertdrv.Packet) error {
		if n++; f.nth != 0 && n != f.nth {
			return nil
		}
		if err := f.write(w, explained{n, prog.Explain(p.Addr, p.Data, p.Headers()), where}); err != nil || n != f.nth {
			return err
		}
		return errEnough
	})
	if err == nil && n < f.nth {
		err = wrongf("--nth %d: the capture has %s", f.nth, plural(n, "IP packet"))
	}
	if flushErr := w.Flush(); err == nil {
		err = flushErr
	}
	return err
}

func (f *explainFlags) write(w io.Writer, e explained) error {
	if !f.asJSON {
		_, err := fmt.Fprintf(w, "packet %d, %s\n", e.Packet, e.Explanation)
		return err
	}
	line, err := jsonLine(e)
	if err == nil {
		_, err = io.WriteString(w, line+"\n")
	}
	return err
}

func (f *explainFlags) lines(cmd *cobra.Command) error {
	e := &lineEvaluator{filters: programs{language: languageOf(f.compat22)}}
	return answerLines(cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr(), func(line []byte) (string, error) {
		c, a, err := e.read(line)
		switch {
		case err != nil:
			return "", err
		case c.err != nil:
			return answerError(c.err), nil
		}
		return jsonLine(c.prog.Explain(&a, e.packet, nil))
	})
}

// jsonLine writes v as one object on one line, without its end.
func jsonLine(v any) (string, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode(v)
	return string(bytes.TrimSpace(b.Bytes())), err
}

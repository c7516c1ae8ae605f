package main

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/weirnet/weir/divertdrv/addr"
)

type evalFlags struct {
	layer    string
	compat22 bool
	batch    bool
	subjectFlags
}

func newFilterEval() *cobra.Command {
	var f evalFlags
	cmd := &cobra.Command{
		Use:   "eval FILTER",
		Short: "Say which packets a filter takes",
		Long: `Evaluates a filter: on each IP packet of a capture (-r), with one line per packet; or on one packet or event given in
hexadecimal (--packet from its IP header, --address as a WINDIVERT_ADDRESS of 80 bytes). It prints 1 where the filter takes it
and 0 where not. A filter that is wrong gives exit status 2.

With --batch it reads lines LAYER⇥FILTER⇥ADDRESSHEX⇥PACKETHEX from standard input (LAYER a name or 0 to 4, columns between
tabs, PACKETHEX empty where the layer has no packets) and answers each with one line: 1, 0, or "error CODE POS" as described at
'weir filter compile --help'. A malformed line is answered with "error bad-input 0", and then the exit status is 1.`,
		Example: `  weir filter eval 'tcp.Syn and not tcp.Ack' -r capture.pcapng
  weir filter eval ip --packet 4500001400000000400100007f0000017f000001
  weir filter eval --batch --compat22 < vectors.tsv`,
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
	f.flags(cmd)
	return cmd
}

// one evaluates the filter that is the argument.
func (f *evalFlags) one(cmd *cobra.Command, src string) error {
	prog, err := parseFilter(src, f.layer, f.compat22)
	if err != nil {
		return err
	}
	if f.capture != "" {
		return evalCapture(cmd, prog, &f.subjectFlags)
	}
	a, pkt, err := f.given(prog.Layer())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), digit(prog.Match(&a, pkt, nil)))
	return err
}

// lines evaluates a batch.
func (f *evalFlags) lines(cmd *cobra.Command) error {
	e := &lineEvaluator{filters: programs{language: languageOf(f.compat22)}}
	return answerLines(cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr(), e.answer)
}

// lineEvaluator answers LAYER⇥FILTER⇥ADDRESSHEX⇥PACKETHEX.
type lineEvaluator struct {
	filters programs
	packet  []byte // room for it
}

func (e *lineEvaluator) answer(line []byte) (string, error) {
	c, a, err := e.read(line)
	switch {
	case err != nil:
		return "", err
	case c.err != nil:
		return answerError(c.err), nil
	}
	return digit(c.prog.Match(&a, e.packet, nil)), nil
}

// read finds the columns from both ends, since a filter may have tabs. The packet is in e.packet.
func (e *lineEvaluator) read(line []byte) (c compiled, a addr.Address, err error) {
	end := bytes.LastIndexByte(line, '\t')
	mid := bytes.LastIndexByte(line[:max(end, 0)], '\t')
	if mid < 0 {
		return c, a, errors.New("want four columns between tabs: LAYER, FILTER, ADDRESSHEX, PACKETHEX")
	}
	if c, err = e.filters.get(line[:mid]); err != nil {
		return c, a, err
	}
	if a, err = addr.ParseHex(string(line[mid+1 : end])); err != nil {
		return c, a, err
	}
	if e.packet, err = hex.AppendDecode(e.packet[:0], line[end+1:]); err != nil {
		return c, a, fmt.Errorf("packet: %w", err)
	}
	return c, a, nil
}

func digit(yes bool) string {
	if yes {
		return "1"
	}
	return "0"
}

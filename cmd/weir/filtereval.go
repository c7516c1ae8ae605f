package main

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/filter"
)

type evalFlags struct {
	layer    string
	compat22 bool
	batch    bool

	packet, address string
	outbound        bool

	capture string
	local   []string
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
		Args: func(cmd *cobra.Command, args []string) error {
			if f.batch {
				return cobra.NoArgs(cmd, args)
			}
			return take(1, "the filter")(cmd, args)
		},
		RunE: does(func(cmd *cobra.Command, args []string) error {
			if f.batch {
				return f.lines(cmd)
			}
			return f.one(cmd, args[0])
		}),
	}
	layerFlag(cmd, &f.layer)
	compat22Flag(cmd, &f.compat22)
	flags := cmd.Flags()
	flags.BoolVar(&f.batch, "batch", false, "read LAYER⇥FILTER⇥ADDRESSHEX⇥PACKETHEX lines from standard input")
	flags.StringVar(&f.packet, "packet", "", "`hex` of a packet, from its IP header")
	flags.StringVar(&f.address, "address", "", "`hex` of its WINDIVERT_ADDRESS; left out: an inbound packet")
	flags.BoolVar(&f.outbound, "outbound", false, "without --address: an outbound packet")
	flags.StringVarP(&f.capture, "read", "r", "", "`capture` file (pcap, pcapng, either with gzip)")
	localFlag(flags, &f.local)
	cmd.MarkFlagsMutuallyExclusive("batch", "packet", "read")
	cmd.MarkFlagsMutuallyExclusive("batch", "address", "read")
	cmd.MarkFlagsMutuallyExclusive("batch", "layer")
	cmd.MarkFlagsMutuallyExclusive("address", "outbound")
	return cmd
}

// one evaluates the filter that is the argument.
func (f *evalFlags) one(cmd *cobra.Command, src string) error {
	l, err := layerOf(f.layer)
	if err != nil {
		return err
	}
	prog, err := filter.Parse(src, l, languageOf(f.compat22)...)
	if err != nil {
		return wrong(err)
	}
	if f.capture != "" {
		return evalCapture(cmd, prog, f.capture, f.local)
	}
	if f.packet == "" && f.address == "" {
		return wrongf("nothing to evaluate the filter on: give -r CAPTURE, --packet HEX, --address HEX, or --batch")
	}
	pkt, err := hex.DecodeString(f.packet)
	if err != nil {
		return wrongf("--packet: %w", err)
	}
	a, err := f.addressOf(l, pkt)
	if err != nil {
		return wrongf("--address: %w", err)
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), digit(prog.Match(&a, pkt, nil)))
	return err
}

func (f *evalFlags) addressOf(l addr.Layer, pkt []byte) (a addr.Address, err error) {
	if f.address != "" {
		return addr.ParseHex(f.address)
	}
	a.SetLayer(l, addr.EventPacket)
	a.SetOutbound(f.outbound || l == addr.NetworkForward)
	a.SetIPv6(len(pkt) > 0 && pkt[0]>>4 == 6)
	a.SetChecksums(true)
	return a, nil
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

// answer finds the columns from both ends, since a filter may have tabs.
func (e *lineEvaluator) answer(line []byte) (string, error) {
	end := bytes.LastIndexByte(line, '\t')
	mid := bytes.LastIndexByte(line[:max(end, 0)], '\t')
	if mid < 0 {
		return "", errors.New("want four columns between tabs: LAYER, FILTER, ADDRESSHEX, PACKETHEX")
	}
	c, err := e.filters.get(line[:mid])
	if err != nil {
		return "", err
	}
	a, err := addr.ParseHex(string(line[mid+1 : end]))
	if err != nil {
		return "", err
	}
	if e.packet, err = hex.AppendDecode(e.packet[:0], line[end+1:]); err != nil {
		return "", fmt.Errorf("packet: %w", err)
	}
	if c.err != nil {
		return answerError(c.err), nil
	}
	return digit(c.prog.Match(&a, e.packet, nil)), nil
}

func digit(yes bool) string {
	if yes {
		return "1"
	}
	return "0"
}

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/filter"
	"github.com/weirnet/weir/divertdrv/proc"
	"github.com/weirnet/weir/internal/daemon"
)

type dumpFlags struct {
	driver, in, out, layer string
	local                  []string
	count                  uint64
	timeout                time.Duration
	asJSON, process        bool
}

// dumpEnd is what `weir dump --json` says last, on standard error.
type dumpEnd struct {
	Received uint64  `json:"received"`
	Lost     uint64  `json:"lost"` // copies that the driver had no room for
	Written  *uint64 `json:"written,omitempty"`
	// Unattributed counts packets of TCP and UDP of this host whose process could not be told.
	Unattributed *uint64 `json:"unattributed,omitempty"`
}

func newDump() *cobra.Command {
	var f dumpFlags
	cmd := &cobra.Command{
		Use:     "dump FILTER",
		GroupID: groupPackets,
		Short:   "Show the packets that a filter takes, and record them",
		Long: `Shows each packet that the filter takes on a line: time, direction (in, out, loop: between programs of this host, fwd: routed),
interface, protocol, ends, what else its headers say, and its length from the IP header. They are copies: the packets themselves go
on at once. With -w they are recorded in pcapng, from their IP headers. On Linux copies of outbound packets do not tell the interface.
Behind packets of TCP and UDP stands the program of this host that has the socket open, with its process id, where that can be told;
a short-lived one may have gone before it was looked for, and is counted, not guessed.

Without -r it is the driver of this system that shows them, which needs the rights that 'weir doctor' tells; with -r a capture.
It ends after -n packets, after --timeout, or with Ctrl-C; then it says on standard error how many packets it received, and how many
copies were lost because they came faster than they were shown. With --json each line is one JSON object, and so is the last one.`,
		Example: `  sudo weir dump 'tcp.DstPort == 443 and tcp.Syn'
  sudo weir dump udp -n 100 -w dns.pcapng
  sudo weir dump true --layer forward --timeout 10s --json
  weir dump icmp -r capture.pcapng`,
		Args: take(1, "the filter"),
		RunE: does(func(cmd *cobra.Command, args []string) error {
			prog, err := parseFilter(args[0], f.layer, false)
			if err != nil {
				return err
			}
			if l := prog.Layer(); l != divertdrv.Network && l != divertdrv.NetworkForward {
				return wrongf("--layer %v: its events are no packets; want network or forward", l)
			}
			d, err := f.choose(cmd.Flags())
			if err != nil {
				return wrong(err)
			}
			d.Stdin = cmd.InOrStdin()
			return f.dump(cmd, d, prog)
		}),
	}
	f.define(cmd)
	return cmd
}

func (f *dumpFlags) define(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.StringVar(&f.driver, "driver", "", "where packets come from, `one` of auto, windivert, nfqueue, pcap (left out: pcap with -r, else auto)")
	flags.StringVarP(&f.in, "read", "r", "", "`capture` to read: pcap or pcapng, plain or with gzip; - is standard input")
	flags.StringVarP(&f.out, "write", "w", "", "pcapng `file` for the packets")
	localFlag(flags, &f.local)
	layerFlag(cmd, &f.layer)
	flags.Uint64VarP(&f.count, "count", "n", 0, "stop after so many `packets`")
	flags.DurationVar(&f.timeout, "timeout", 0, "stop after this `time`, such as 90s or 1h30m")
	flags.BoolVar(&f.process, "process", true, "tell the process of each packet of this host; --process=false does not look for it")
	flags.BoolVar(&f.asJSON, "json", false, "print each packet as a JSON object on one line")
	complete(cmd, "driver", dumpDrivers)
}

var dumpDrivers = []string{daemon.Auto, daemon.WinDivert, daemon.NFQueue, daemon.Pcap}

// choose says where packets come from.
func (f *dumpFlags) choose(flags *pflag.FlagSet) (d daemon.Driver, err error) {
	d = daemon.Driver{Backend: f.driver, In: f.in, Out: f.out}
	switch {
	case f.timeout < 0:
		return d, fmt.Errorf("--timeout %v: want a time of 0 or more", f.timeout)
	case f.driver == daemon.Sim:
		return d, errors.New("driver sim has no packets of its own to show: 'weir run true --driver sim -w FILE' makes some")
	case f.driver == "" && f.in != "":
		d.Backend = daemon.Pcap
	case f.driver == "":
		d.Backend = daemon.Auto
	case f.driver == daemon.Pcap && f.in == "":
		return d, errors.New("driver pcap has no capture to read: name one with -r")
	}
	if err := daemon.CheckBackend(d.Backend); err != nil && !errors.Is(err, daemon.ErrNotYet) {
		return d, err
	}
	if d.Local, err = parsePrefixes(f.local); err != nil {
		return d, err
	}
	return d, misplaced(flags, d.Backend)
}

// dump shows packets until they end.
func (f *dumpFlags) dump(cmd *cobra.Command, d daemon.Driver, prog *filter.Program) error {
	w, err := daemon.OpenWatch(d, prog, f.count)
	switch {
	case errors.Is(err, divertdrv.ErrInvalid):
		return wrong(err)
	case err != nil:
		return err
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	defer context.AfterFunc(ctx, stop)() // a second signal then ends the program at once
	if f.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, f.timeout)
		defer cancel()
	}
	if d.Backend != daemon.Pcap && !f.asJSON {
		fmt.Fprintf(cmd.ErrOrStderr(), "showing packets of driver %s; Ctrl-C ends\n", w.Driver())
	}
	out := bufio.NewWriter(cmd.OutOrStdout())
	lines := dumpLines{asJSON: f.asJSON, names: map[uint32]string{}}
	if f.process && d.Backend != daemon.Pcap {
		return f.named(ctx, cmd.ErrOrStderr(), w, &lines, out)
	}
	err = w.Run(ctx, func(p []divertdrv.Packet) error {
		for i := range p {
			if err := lines.write(out, describe(&p[i]), stamp(&p[i])); err != nil {
				return err
			}
		}
		return out.Flush()
	})
	return errors.Join(err, w.Close(), f.end(cmd.ErrOrStderr(), w, nil))
}

// named shows packets with their processes.
func (f *dumpFlags) named(ctx context.Context, errs io.Writer, w *daemon.Watch, lines *dumpLines, out *bufio.Writer) error {
	sys, stop, err := proc.Local()
	if err != nil {
		return errors.Join(err, w.Close())
	}
	n := newNamer(ctx, sys, stop, func(l *line) error { return lines.write(out, l.d, l.at) }, out.Flush)
	err = w.Run(ctx, func(p []divertdrv.Packet) error {
		for i := range p {
			n.add(describe(&p[i]), &p[i])
		}
		return n.broken()
	})
	err = errors.Join(err, n.end())
	return errors.Join(err, w.Close(), f.end(errs, w, &n.unattributed))
}

// end tells the counts.
func (f *dumpFlags) end(to io.Writer, w *daemon.Watch, unattributed *uint64) error {
	received, written, lost := w.Seen()
	e := dumpEnd{Received: received, Lost: lost, Unattributed: unattributed}
	if f.out != "" {
		e.Written = &written
	}
	if f.asJSON {
		line, err := jsonLine(e)
		if err == nil {
			_, err = fmt.Fprintln(to, line)
		}
		return err
	}
	if unattributed != nil && *unattributed > 0 {
		fmt.Fprintf(to, "%d packets of processes that could not be told\n", *unattributed)
	}
	_, err := fmt.Fprintf(to, "%d packets received, %d lost", received, lost)
	if err == nil && f.out != "" {
		_, err = fmt.Fprintf(to, ", %d written to %s", written, f.out)
	}
	fmt.Fprintln(to)
	return err
}

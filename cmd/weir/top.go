package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	tea "github.com/charmbracelet/bubbletea"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/internal/control"
	"github.com/weirnet/weir/internal/top"
)

type topFlags struct {
	control  controlFlags
	interval time.Duration
	match    string
	once     bool
	size     string
}

func newTop() *cobra.Command {
	var f topFlags
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Watch a running weir in the terminal",
		Long: `Shows what a running weir does now, and did in the last minutes: packets that are received, passed and dropped, why they are dropped,
how long batches take, how much waits, and the filters and flows that have most to do. Keys sort and filter the tables, and explain
why the packets of a flow pass or not; ? lists them.

With --once it prints one screen, of what happens in one interval, and ends: for scripts, and for reports. Colours follow what the
terminal can, and NO_COLOR.`,
		Example: "  sudo weir top\n  sudo weir top --match 'tcp 10.0.0.1'\n  sudo weir top --once --size 160x50 > screen.txt",
		Args:    cobra.NoArgs,
		GroupID: groupRunning,
		RunE: does(func(cmd *cobra.Command, _ []string) error {
			client, ctx, end, err := f.control.client(cmd)
			if err != nil {
				return err
			}
			defer end()
			return asked(f.show(ctx, client, cmd.InOrStdin(), cmd.OutOrStdout()))
		}),
	}
	f.control.define(cmd)
	flags := cmd.Flags()
	_ = flags.MarkHidden("json")
	flags.DurationVar(&f.interval, "interval", top.IntervalDefault, "`time` between two looks")
	flags.StringVar(&f.match, "match", "", "only flows with this `text` in PROTOCOL SOURCE > DESTINATION STATE")
	flags.BoolVar(&f.once, "once", false, "print one screen and end")
	flags.StringVar(&f.size, "size", "80x24", "`width` and height of the screen, with --once")
	return cmd
}

func (f *topFlags) show(ctx context.Context, source top.Source, in io.Reader, out io.Writer) error {
	if f.interval < top.IntervalMin {
		return wrongf("--interval %v: want %v or more", f.interval, top.IntervalMin)
	}
	c := top.Config{Source: source, Interval: f.interval, Match: f.match, Packet: packetOfFlow}
	if f.once {
		var w, h int
		if n, err := fmt.Sscanf(f.size, "%dx%d", &w, &h); n != 2 || err != nil || w < 1 || h < 1 || w > 1000 || h > 1000 {
			return wrongf("--size %q: want WIDTHxHEIGHT, such as 80x24", f.size)
		}
		screen, err := top.Once(ctx, c, w, h)
		if err == nil {
			_, err = io.WriteString(out, screen)
		}
		return err
	}
	if file, ok := out.(*os.File); !ok || !term.IsTerminal(int(file.Fd())) {
		return wrongf("this is no terminal; --once prints one screen")
	}
	return top.Run(ctx, c, tea.WithInput(in), tea.WithOutput(out))
}

// packetOfFlow is a packet like the first one of a flow.
func packetOfFlow(flow control.Flow) (r control.ExplainRequest, err error) {
	way := "in"
	if flow.Outbound {
		way = "out"
	}
	words := fmt.Sprintf("%s %s %s > %s", way, flow.Protocol, flow.Source, flow.Destination)
	switch flow.Protocol {
	case "tcp":
		words += " syn"
	case "udp":
	case "icmp", "icmpv6":
		words = fmt.Sprintf("%s ping %s > %s", way, flow.Source, flow.Destination)
	default:
		return r, fmt.Errorf("a packet of protocol %s cannot be made of words; weir trace shows those that come", flow.Protocol)
	}
	p, err := packetOf(words)
	if err != nil {
		return r, err
	}
	return control.ExplainRequest{Packet: p.Data, Outbound: flow.Outbound, Forward: p.Addr.Layer() == divertdrv.NetworkForward}, nil
}

package nfqdrv

import (
	"slices"
	"strings"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/filter/lower"
	"github.com/weirnet/weir/divertdrv/nfqdrv/internal/queue"
	"github.com/weirnet/weir/divertdrv/nfqdrv/internal/rules"
	"github.com/weirnet/weir/divertdrv/wire"
)

// place is where in the kernel a handle asks its filter.
type place struct {
	hook    lower.Hook
	at      rules.Hook
	in, out rules.Device
}

// Loopback packets are seen once, on their way out.
var (
	onLoopback  = rules.Device{Index: rules.Loopback}
	offLoopback = rules.Device{Index: rules.Loopback, Not: true}

	outputLoopback = place{hook: lower.OutputLoopback, at: rules.Output, out: onLoopback}
	output         = place{hook: lower.Output, at: rules.Output, out: offLoopback}
	input          = place{hook: lower.Input, at: rules.Input, in: offLoopback}
	// Whoever wants fragments stands before all that puts them together, and before the routing decision.
	prerouting = place{hook: lower.Prerouting, at: rules.Prerouting, in: offLoopback}
	forward    = place{hook: lower.Forward, at: rules.Forward}
)

// filters are a handle's filter, lowered for each place.
type filters struct {
	places  []place
	lowered []*lower.Result
	any     bool // that of some place leaves something to user space
}

func lowerAll(f *divertdrv.Filter, l divertdrv.Layer, fragments bool) (fs filters, err error) {
	fs.places = []place{outputLoopback, output, input}
	switch {
	case l == divertdrv.NetworkForward:
		fs.places = []place{forward}
	case fragments:
		fs.places[2] = prerouting
	}
	for i := range fs.places {
		hook := fs.places[i].hook
		hook.Impostor = lower.No // what others inject is not told apart from what the stack sends
		r, err := lower.Lower(f, hook)
		if err != nil {
			return fs, err
		}
		fs.lowered = append(fs.lowered, r)
		fs.any = fs.any || !r.Exact
	}
	return fs, nil
}

// of is the filter of the place where a packet was taken.
func (fs *filters) of(p *queue.Packet) *lower.Result {
	switch {
	case len(fs.lowered) == 1:
		return fs.lowered[0]
	case p.Hook != queue.LocalOut:
		return fs.lowered[2]
	case p.OutIf == rules.Loopback:
		return fs.lowered[0]
	}
	return fs.lowered[1]
}

// rechecks says that the kernel's answer about a packet is not the last one; then h are its headers.
func (fs *filters) rechecks(p *queue.Packet, h *divertdrv.Headers) bool {
	if !fs.any && (len(p.Data) == 0 || p.Data[0]>>4 != 6) {
		return false // only of IPv6 some packets are too long-winded for a program
	}
	wire.Parse(p.Data, h)
	return fs.of(p).Recheck(h)
}

// exact says that the kernel decides alone, at every place.
func (fs *filters) exact() bool { return !fs.any }

// hooks are where the handle needs a chain, each once.
func (fs *filters) hooks() (at []rules.Hook) {
	for i := range fs.places {
		if h := fs.places[i].at; !slices.Contains(at, h) {
			at = append(at, h)
		}
	}
	return at
}

// asks says that a test of one of these fields is left to user space at some place.
func (fs *filters) asks(fields ...string) bool {
	for _, low := range fs.lowered {
		for _, l := range low.Left {
			if slices.ContainsFunc(fields, func(f string) bool { return strings.Contains(l.Text, f) }) {
				return true
			}
		}
	}
	return false
}

// Kernel says what the programs decide; see divertdrv.Handle.Kernel.
func (c *conn) Kernel() (parts []divertdrv.KernelPart) {
	if c.sendOnly {
		return nil
	}
	for _, low := range c.filters.lowered {
		p := divertdrv.KernelPart{Hook: low.Hook.Name, Never: low.Never}
		for _, l := range low.Left {
			p.Left = append(p.Left, divertdrv.KernelTest(l))
		}
		parts = append(parts, p)
	}
	return parts
}

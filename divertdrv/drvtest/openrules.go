package drvtest

import (
	"errors"
	"math"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/filter"
)

var openRules = []Rule{
	{"open/layers", "WinDivert 5.1; divertdrv.Caps", nil, openLayers},
	{"open/refusals-have-a-name", "divertdrv.OpError", nil, openRefusals},
	{"open/caps", "divertdrv.Caps", nil, openCaps},
	{"open/mandatory-flags", "WinDivert 5.4, required flags", nil, openMandatoryFlags},
	{"open/exclusive-flags", "WinDivert 5.4, invalid combinations", nil, openExclusiveFlags},
	{"open/unknown-flags", "WinDivert 5.4, ERROR_INVALID_PARAMETER", nil, openUnknownFlags},
	{"open/priority-bounds", "WinDivert 5.4, WINDIVERT_PRIORITY_HIGHEST", nil, openPriorityBounds},
	{"open/bad-filter", "WinDivert 5.4, ERROR_INVALID_PARAMETER; WinDivert 7", nil, openBadFilter},
	{"open/sees-from-now-on", "WinDivert 5.5, as soon as possible after open", nil, openSeesFromNowOn},
	{"open/readers", "divertdrv.Options.Readers", nil, openReaders},
}

// try opens a handle and closes it again.
func (p *probe) try(text string, l divertdrv.Layer, o divertdrv.Options) error {
	o.Driver = p.w.Driver
	h, err := divertdrv.Open(text, l, &o)
	if err == nil {
		p.isErr("Close", h.Close(), nil)
	}
	return err
}

func openLayers(p *probe) {
	for l := divertdrv.Layer(0); l < addr.Layers; l++ {
		o := divertdrv.Options{Driver: p.w.Driver, Flags: mandatory(l)}
		h, err := divertdrv.Open("false", l, &o)
		if errors.Is(err, divertdrv.ErrUnsupported) && l != divertdrv.Network {
			continue
		}
		if err != nil {
			p.Fatalf("layer %v: %v", l, err)
		}
		if h.Layer() != l || h.Driver() != p.w.Driver.Name() || h.Options().Flags != o.Flags {
			p.Errorf("layer %v: the handle says layer %v, driver %q, flags %v", l, h.Layer(), h.Driver(), h.Options().Flags)
		}
		p.isErr("Close", h.Close(), nil)
	}
	if p.try("true", addr.Layers, divertdrv.Options{}) == nil {
		p.Errorf("layer %d can be opened, and there is no such layer", addr.Layers)
	}
}

// What a driver cannot do is an error that names the driver and the layer; never another layer, other flags, other readers.
func openRefusals(p *probe) {
	ask := func(l divertdrv.Layer, o divertdrv.Options) {
		o.Flags |= mandatory(l)
		err := p.try("false", l, o)
		if err == nil {
			return
		}
		var op *divertdrv.OpError
		if !errors.As(err, &op) || op.Driver != p.w.Driver.Name() || op.Layer != l || !errors.Is(err, divertdrv.ErrUnsupported) {
			p.Errorf("layer %v: %v; want an OpError with driver, layer and ErrUnsupported", l, err)
		}
	}
	for l := divertdrv.Layer(0); l < addr.Layers; l++ {
		ask(l, divertdrv.Options{})
		ask(l, divertdrv.Options{Readers: 2})
	}
	for _, f := range []divertdrv.Flags{
		divertdrv.Sniff, divertdrv.DropAll, divertdrv.RecvOnly, divertdrv.SendOnly, divertdrv.Fragments, divertdrv.Sniff | divertdrv.RecvOnly,
	} {
		ask(divertdrv.Network, divertdrv.Options{Flags: f})
	}
	ask(divertdrv.Network, divertdrv.Options{Overload: divertdrv.OverloadOpen})
	ask(divertdrv.Network, divertdrv.Options{Overload: divertdrv.OverloadClosed})
}

func openCaps(p *probe) {
	if got := p.open(0, 0).Caps(); got != p.w.Caps {
		p.Errorf("the handle's Caps are\n%+v, the World's\n%+v", got, p.w.Caps)
	}
}

func openMandatoryFlags(p *probe) {
	for _, l := range []divertdrv.Layer{divertdrv.LayerFlow, divertdrv.LayerSocket, divertdrv.LayerReflect} {
		for bit := divertdrv.Flags(1); bit <= divertdrv.RecvOnly; bit <<= 1 {
			if mandatory(l)&bit != 0 {
				p.isErr(l.String()+" without "+bit.String(), p.try("true", l, divertdrv.Options{Flags: mandatory(l) &^ bit}), divertdrv.ErrInvalid)
			}
		}
	}
}

func openExclusiveFlags(p *probe) {
	for _, f := range []divertdrv.Flags{divertdrv.Sniff | divertdrv.DropAll, divertdrv.RecvOnly | divertdrv.SendOnly} {
		p.isErr(f.String(), p.try("true", divertdrv.Network, divertdrv.Options{Flags: f}), divertdrv.ErrInvalid)
	}
}

func openUnknownFlags(p *probe) {
	for bit := addr.AllFlags + 1; bit != 0; bit <<= 1 {
		p.isErr(bit.String(), p.try("true", divertdrv.Network, divertdrv.Options{Flags: bit}), divertdrv.ErrInvalid)
	}
}

func openPriorityBounds(p *probe) {
	for _, prio := range []int16{addr.PriorityLowest, -1, 0, 1, addr.PriorityHighest} {
		p.isErr("priority in bounds", p.try("true", divertdrv.Network, divertdrv.Options{Priority: prio}), nil)
	}
	for _, prio := range []int16{math.MinInt16, addr.PriorityLowest - 1, addr.PriorityHighest + 1, math.MaxInt16} {
		p.isErr("priority out of bounds", p.try("true", divertdrv.Network, divertdrv.Options{Priority: prio}), divertdrv.ErrInvalid)
	}
}

func openBadFilter(p *probe) {
	for _, text := range []string{"", "tcp.", "udp and", "processId == 1" /* FLOW, SOCKET and REFLECT only */} {
		var bad *filter.Error
		if err := p.try(text, divertdrv.Network, divertdrv.Options{}); !errors.As(err, &bad) {
			p.Errorf("filter %q: %v, want a *filter.Error", text, err)
		}
	}
}

func openSeesFromNowOn(p *probe) {
	low := p.open(0, 0)
	p.send(1)
	high := p.open(9, 0)
	p.send(2)
	p.rest(high, 2)
	p.rest(low, 1, 2)
	p.hasLeft(1, 2)
}

// A driver with one queue for each handle refuses a second reader: it could not keep the order.
func openReaders(p *probe) {
	if err := p.try("true", divertdrv.Network, divertdrv.Options{Readers: 1}); err != nil {
		p.Errorf("one reader: %v", err)
	}
	if err := p.try("true", divertdrv.Network, divertdrv.Options{Readers: 1000}); err != nil {
		p.isErr("1000 readers", err, divertdrv.ErrUnsupported)
	}
}

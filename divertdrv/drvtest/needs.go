package drvtest

import (
	"errors"
	"slices"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
)

// need is something that a World may lack. Rules that need it are then skipped, and say so by this name.
type need string

const (
	needInject        need = "Caps.Inject"
	needInjectInbound need = "Caps.InjectInbound"
	needModify        need = "Caps.Modify"
	needGrow          need = "Caps.Grow"
	needProcess       need = "Caps.Process"
	needIfIdx         need = "Caps.IfIdx"
	needFragments     need = "Caps.Fragments"
	needLossCounted   need = "Caps.LossCounted"
	needHold          need = "Caps.HoldMax"

	needInbound  need = "way inbound"
	needLoopback need = "way loopback"
	needForward  need = "way forwarded"
	needShed     need = "queues that shed"
	needWake     need = "a Recv that is woken while it waits"
	needJumbo    need = "datagrams of 65,535 bytes"
	needSockets  need = "programs with sockets"

	needInterfaces need = "interfaces with an index"

	needLayerForward  need = "layer forward"
	needLayerFlow     need = "layer flow"
	needLayerSocket   need = "layer socket"
	needLayerReflect  need = "layer reflect"
	needOverOpen      need = "overload open"
	needOverClosed    need = "overload closed"
	needSeveralReader need = "several readers"
)

// abilities are what a World has.
type abilities map[need]bool

// survey finds out what the driver can do: by what it claims, and by what it lets be opened.
func survey(t T, s *Setup) abilities {
	t.Helper()
	w := newWorld(t, s)
	c := w.Caps
	has := abilities{
		needInject: c.Inject, needInjectInbound: c.InjectInbound, needModify: c.Modify, needGrow: c.Grow,
		needProcess: c.Process, needIfIdx: c.IfIdx, needFragments: c.Fragments, needLossCounted: c.LossCounted,
		needHold:    c.HoldMax > 0,
		needInbound: w.can(Inbound), needLoopback: w.can(Loopback), needForward: w.can(Forwarded),
		needShed: !w.Waits, needWake: !w.Unwoken, needJumbo: w.Jumbo, needSockets: w.Sockets != nil,
		needInterfaces: w.IfIdx != 0,
	}
	for n, l := range map[need]divertdrv.Layer{
		needLayerForward: divertdrv.NetworkForward, needLayerFlow: divertdrv.LayerFlow,
		needLayerSocket: divertdrv.LayerSocket, needLayerReflect: divertdrv.LayerReflect,
	} {
		has[n] = opens(t, w, l, divertdrv.Options{Flags: mandatory(l)})
	}
	has[needOverOpen] = opens(t, w, divertdrv.Network, divertdrv.Options{Overload: divertdrv.OverloadOpen})
	has[needOverClosed] = opens(t, w, divertdrv.Network, divertdrv.Options{Overload: divertdrv.OverloadClosed})
	has[needSeveralReader] = opens(t, w, divertdrv.Network, divertdrv.Options{Readers: 2})
	return has
}

// opens says whether the driver can do what is asked. What it cannot is ErrUnsupported: open/refusals looks at the error.
func opens(t T, w *World, l divertdrv.Layer, o divertdrv.Options) bool {
	t.Helper()
	o.Driver = w.Driver
	h, err := divertdrv.Open("false", l, &o)
	if err == nil {
		_ = h.Close()
		return true
	}
	if !errors.Is(err, divertdrv.ErrUnsupported) {
		t.Errorf("layer %v, %+v: %v; want a handle, or ErrUnsupported", l, o, err)
	}
	return false
}

func (w *World) can(way Way) bool { return slices.Contains(w.Ways, way) }

// lacks returns the first thing that r needs and is not there, "" for none.
func (has abilities) lacks(r *Rule) need {
	for _, n := range r.needs {
		if !has[n] {
			return n
		}
	}
	return ""
}

// mandatory are the flags without which a layer is refused (WinDivert 5.4).
func mandatory(l divertdrv.Layer) divertdrv.Flags {
	switch l {
	case addr.LayerFlow, addr.LayerReflect:
		return divertdrv.Sniff | divertdrv.RecvOnly
	case addr.LayerSocket:
		return divertdrv.RecvOnly
	}
	return 0
}

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
	needJoined     need = "fragments that are joined"

	needLayerForward  need = "layer forward"
	needForwardInject need = "Caps.Inject at layer forward"
	needLayerFlow     need = "layer flow"
	needLayerSocket   need = "layer socket"
	needLayerReflect  need = "layer reflect"

	needSniff      need = "flag sniff"
	needDropAll    need = "flag drop"
	needRecvOnly   need = "flag recv-only"
	needSendOnly   need = "flag send-only"
	needOverOpen   need = "overload open"
	needOverClosed need = "overload closed"

	needQueueLength need = "parameter queue length"
	needQueueTime   need = "parameter queue time"
	needQueueSize   need = "parameter queue size"
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
		needInterfaces: w.IfIdx != 0, needJoined: !w.Unjoined,
	}
	has.opening(t, w)
	has.asking(t, w)
	return has
}

// opening finds out what can be opened. What cannot is ErrUnsupported: open/refusals-have-a-name looks at the error.
func (has abilities) opening(t T, w *World) {
	t.Helper()
	for n, l := range map[need]divertdrv.Layer{
		needLayerForward: divertdrv.NetworkForward, needLayerFlow: divertdrv.LayerFlow,
		needLayerSocket: divertdrv.LayerSocket, needLayerReflect: divertdrv.LayerReflect,
	} {
		has[n], _ = w.opens(t, l, divertdrv.Options{Flags: mandatory(l)})
	}
	for n, o := range map[need]divertdrv.Options{
		needSniff: {Flags: divertdrv.Sniff}, needDropAll: {Flags: divertdrv.DropAll},
		needRecvOnly: {Flags: divertdrv.RecvOnly}, needSendOnly: {Flags: divertdrv.SendOnly},
		needOverOpen: {Overload: divertdrv.OverloadOpen}, needOverClosed: {Overload: divertdrv.OverloadClosed},
	} {
		has[n], _ = w.opens(t, divertdrv.Network, o)
	}
	_, forward := w.opens(t, divertdrv.NetworkForward, divertdrv.Options{})
	has[needForwardInject] = forward.Inject
}

// asking finds out which limits a queue has. One that it has not is ErrUnsupported.
func (has abilities) asking(t T, w *World) {
	t.Helper()
	h, err := divertdrv.Open("false", divertdrv.Network, &divertdrv.Options{Driver: w.Driver})
	if err != nil {
		t.Fatalf("layer %v: %v", divertdrv.Network, err)
	}
	defer func() { _ = h.Close() }()
	for param, n := range queueParams {
		_, err := h.Param(param)
		has[n] = err == nil
		if err != nil && !errors.Is(err, divertdrv.ErrUnsupported) {
			t.Errorf("Param(%d): %v; want a number, or ErrUnsupported", param, err)
		}
	}
}

// opens says whether the driver can do what is asked, and what it claims to do there.
func (w *World) opens(t T, l divertdrv.Layer, o divertdrv.Options) (bool, divertdrv.Caps) {
	t.Helper()
	o.Driver = w.Driver
	h, err := divertdrv.Open("false", l, &o)
	if err == nil {
		defer func() { _ = h.Close() }()
		return true, h.Caps()
	}
	if !errors.Is(err, divertdrv.ErrUnsupported) {
		t.Errorf("layer %v, %+v: %v; want a handle, or ErrUnsupported", l, o, err)
	}
	return false, divertdrv.Caps{}
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

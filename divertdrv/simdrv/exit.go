package simdrv

import (
	"errors"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/frag"
	"github.com/weirnet/weir/divertdrv/wire"
)

// exit is where packets go at the end of their walk, guarded by the engine's lock.
type exit struct {
	stack   *Stack
	cutter  frag.Cutter
	id      uint32 // of the last packet that was cut
	headers wire.Headers
	via     *Interface         // of the packet that is cut
	addr    *divertdrv.Address // of the same
	piece   func([]byte) error // gets its fragments
	aged    []byte             // room for a packet that is one hop older
	stats   exitStats
}

func (x *exit) init(s *Stack) {
	x.stack = s
	x.piece = func(data []byte) error {
		s.toWire(x.via, x.addr, data)
		return nil
	}
}

type exitStats struct{ cut, tooBig, hops uint64 }

// deliver is the end of every walk. Where a packet goes then is asked again: a handle may have changed its destination.
func (s *Stack) deliver(a *divertdrv.Address, data []byte) error {
	switch {
	case a.Layer() == addr.NetworkForward:
		return s.exit.forward(a, data)
	case a.Loopback():
		return s.toHost(a, data)
	case s.plain && a.Outbound():
		return s.exit.wire(&s.config.Interfaces[0], a, data, true)
	case a.Outbound():
		return s.exit.route(a, data)
	case s.transit(data):
		onward := s.forwarded(data)
		return s.engine.Onward(&onward, data)
	default:
		return s.toHost(a, data)
	}
}

func (s *Stack) toHost(a *divertdrv.Address, data []byte) error {
	s.flows.see(a, data, false)
	s.config.OnHost(a, data)
	return nil
}

// route sends a packet of the host by the interface that leads to its destination, which may be the host.
func (x *exit) route(a *divertdrv.Address, data []byte) error {
	to := destination(data)
	if x.stack.own(to) {
		return x.stack.toHost(a, data)
	}
	via := x.stack.route(to)
	via.mark(a)
	return x.wire(via, a, data, true)
}

// forward sends a packet of others on, by the interface that its Address names. A router takes one off its hop limit.
func (x *exit) forward(a *divertdrv.Address, data []byte) error {
	via := x.stack.byIndex(a.IfIdx())
	if via == nil && x.stack.anonymous {
		via = &x.stack.config.Interfaces[0]
	}
	if via == nil {
		return divertdrv.ErrUnreachable
	}
	if x.stack.config.Forwarding {
		x.aged = append(x.aged[:0], data...)
		data = x.aged
		if wire.Parse(data, &x.headers) && !wire.DecrementTTL(data, &x.headers) {
			x.stats.hops++
			return divertdrv.ErrHopLimit
		}
	}
	return x.wire(via, a, data, false)
}

// wire sends a packet, or the fragments of one that is too long. A router must not cut IPv6, and nobody what says DF.
func (x *exit) wire(via *Interface, a *divertdrv.Address, data []byte, sender bool) error {
	if len(data) <= via.MTU {
		x.stack.toWire(via, a, data)
		return nil
	}
	wire.Parse(data, &x.headers)
	x.id++
	x.via, x.addr = via, a
	err := x.cutter.Fragment(data, &x.headers, frag.Limit{MTU: via.MTU, Sender: sender, ID: x.id}, x.piece)
	switch {
	case err == nil:
		x.stats.cut++
		return nil
	case errors.Is(err, frag.ErrTooBig):
		x.stats.tooBig++
	}
	return divertdrv.ErrTooBig
}

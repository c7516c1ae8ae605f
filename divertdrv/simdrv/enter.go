package simdrv

import (
	"fmt"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/wire"
)

// Send is the host that emits a packet: by the interface that leads to its destination, or to itself (Loop). What is not an IP
// packet goes out too, undecoded.
//
// The error of Send, Receive, Loop, Forward and Enter is an OpError over ErrTooBig (it was taken by no handle and does not fit
// the wire), ErrHopLimit (likewise, and it was forwarded too often), ErrInvalid (there is no such interface), ErrShutdown (after
// End), ErrClosed (after Close), or ErrNoRoom: it came while OnWire or OnHost was running and 4096 others wait for that already.
func (s *Stack) Send(data []byte) error {
	via := &s.config.Interfaces[0]
	if !s.plain || mayLoop(data) {
		to := destination(data)
		if s.own(to) {
			return s.Loop(data)
		}
		via = s.route(to)
	}
	a := s.address(data, via)
	a.SetOutbound(true)
	a.SetChecksums(!s.config.Offload)
	return s.engine.Enter(&a, data)
}

// mayLoop tells by one byte most packets that are not for 127.0.0.0/8 or ::1.
func mayLoop(data []byte) bool {
	switch {
	case len(data) >= wire.IPv6HeaderLen && data[0]>>4 == 6:
		return data[24] == 0
	case len(data) >= wire.IPv4HeaderLen:
		return data[16] == 127
	}
	return false
}

// Receive is the wire that brings a packet to the host, at the first interface. A router leads it on if it is for others.
func (s *Stack) Receive(data []byte) error { return s.receive(&s.config.Interfaces[0], data) }

// ReceiveOn is Receive at the interface with that index.
func (s *Stack) ReceiveOn(ifIdx uint32, data []byte) error {
	via := s.byIndex(ifIdx)
	if via == nil {
		return s.noInterface("enter", addr.Network, ifIdx)
	}
	return s.receive(via, data)
}

func (s *Stack) receive(via *Interface, data []byte) error {
	if s.transit(data) {
		return s.Forward(data)
	}
	a := s.address(data, via)
	return s.engine.Enter(&a, data)
}

// Loop is the host that sends to itself. Such a packet is seen once, outbound (WinDivert: Loopback).
func (s *Stack) Loop(data []byte) error {
	via := &s.config.Interfaces[0]
	if !s.plain {
		if on := s.ownOn(destination(data)); on != nil {
			via = on
		}
	}
	a := s.address(data, via)
	a.SetOutbound(true)
	a.SetLoopback(true)
	return s.engine.Enter(&a, data)
}

// Forward is the wire that brings a packet which the host routes on; it is seen at the forward layer, outbound, with the
// interface where it will leave (WinDivert: no sub-interface there).
func (s *Stack) Forward(data []byte) error {
	a := s.forwarded(data)
	return s.engine.Enter(&a, data)
}

func (s *Stack) forwarded(data []byte) divertdrv.Address {
	via := &s.config.Interfaces[0]
	if !s.plain {
		via = s.route(destination(data))
	}
	a := s.address(data, via)
	a.SetInterface(via.IfIdx, 0)
	a.SetLayer(addr.NetworkForward, addr.EventPacket)
	a.SetOutbound(true)
	return a
}

// Enter lets a packet in with an Address of the caller's making: an impostor, another interface, a time of its own.
func (s *Stack) Enter(a *divertdrv.Address, data []byte) error { return s.engine.Enter(a, data) }

func (s *Stack) address(data []byte, via *Interface) (a divertdrv.Address) {
	a.Timestamp = s.now().UnixNano()
	a.SetInterface(via.IfIdx, via.SubIfIdx)
	a.SetIPv6(len(data) > 0 && data[0]>>4 == 6)
	a.SetChecksums(true)
	return a
}

func (s *Stack) now() time.Time { return s.config.Clock.Now() }

// entering is the start of every walk.
func (s *Stack) entering(a *divertdrv.Address, data []byte) {
	if a.Outbound() && a.Layer() == addr.Network {
		s.flows.see(a, data, true)
	}
}

// injecting completes the Address of what a handle injects. An inbound packet must name an interface, and so must one that is
// forwarded; one that goes out is routed, and loops back if it is for the host (WINDIVERT_ADDRESS, on send). A host without
// Config.Interfaces has one that goes by any index.
func (s *Stack) injecting(a *divertdrv.Address, data []byte, h *divertdrv.Headers) error {
	if s.anonymous {
		return nil
	}
	if a.Layer() == addr.NetworkForward || !a.Outbound() {
		if s.byIndex(a.IfIdx()) == nil {
			return fmt.Errorf("%w: the host has no interface %d to inject at; Address.SetInterface names one", divertdrv.ErrInvalid, a.IfIdx())
		}
		return nil
	}
	via := &s.config.Interfaces[0]
	if !s.plain {
		_, dst, _ := h.Endpoints(data)
		to := dst.Addr()
		a.SetLoopback(s.own(to))
		via = s.route(to)
	}
	via.mark(a)
	return nil
}

func (s *Stack) noInterface(op string, l divertdrv.Layer, ifIdx uint32) error {
	return &divertdrv.OpError{Op: op, Driver: Name, Layer: l, Err: fmt.Errorf("%w: the host has no interface %d", divertdrv.ErrInvalid, ifIdx)}
}

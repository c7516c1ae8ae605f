// Package simdrv is the simulated divert driver: an in-memory network stack with the semantics of WinDivert. It is the
// default when no driver is named, and what tests run on.
//
//	sim := simdrv.New(simdrv.Config{OnWire: func(a *divertdrv.Address, data []byte) { … }})
//	h, err := divertdrv.Open("udp.DstPort == 53", divertdrv.Network, &divertdrv.Options{Driver: sim})
//	go sim.Send(query)
//
// A Stack stands for one host. Send is the host that emits a packet, Receive the wire that brings one, Loop a packet from the
// host to itself, Forward one that the host routes; a Source makes packets on demand. Each visits the handles of its layer by
// priority, as in WinDivert; what they let pass leaves by OnWire (outbound) or OnHost (inbound, loopback).
//
// Packets belong to who gives them: the stack copies what it keeps. Nothing here blocks but Recv. The layers are network and
// forward; fragments arrive as they come, whether a handle has the Fragments flag or not, since there is no reassembly.
package simdrv

import (
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/internal/stack"
	"github.com/weirnet/weir/internal/clock"
)

// Name is what the driver is called in errors and policies.
const Name = "sim"

// What a Config's zero values stand for.
const (
	DefaultMTU     = 1500
	DefaultHoldMax = 4096
	DefaultIfIdx   = 1
)

// Source makes packets on demand: an idle Recv asks for the next one, and none is ever lost to a full queue. Traffic is one.
type Source interface {
	// Next returns the next packet with its Address, both valid until the next call; io.EOF: no more. It is never called
	// twice at a time. A Recv that is inside Next is not woken by Shutdown or Close before Next returns.
	Next() (a *divertdrv.Address, data []byte, err error)
}

// Config describes the host. The zero value is a host with Ethernet's MTU on which packets come by Send and Receive only.
type Config struct {
	Clock clock.Clock // deadlines, timestamps and the queue's time limit go by it; nil: the system's

	MTU         int    // bytes, largest packet that leaves to the wire; larger ones are ErrTooBig. 0: 1500
	IfIdx       uint32 // index of the one interface, in every Address. 0: 1
	Offload     bool   // the interface computes checksums: those of what the host sends are owed (Address.TCPChecksum, … are false)
	HeaderAlign int    // bytes; the header of an injected outbound packet must start at such an address, or ErrMisaligned. 0: anywhere
	HoldMax     int    // packets that each handle may hold at once. 0: 4096

	Source Source // asked for packets when a Recv is idle; its end is the stack's, as End. nil: none

	// OnWire gets packets that leave the host, OnHost those that reach it: inbound ones and loopback. Both arguments are valid
	// during the call only. Calls never overlap and come in order. They may send and receive packets on this stack and on
	// others, but call nothing else of this stack and of its handles: that would wait for itself. nil: the packet is gone.
	OnWire, OnHost func(a *divertdrv.Address, data []byte)
}

// Stack is one simulated host with its divert driver. Its methods may be called from any goroutine.
type Stack struct {
	engine *stack.Stack
	config Config
}

// New returns a host on which no handle is open.
func New(c Config) *Stack {
	s := &Stack{config: c.withDefaults()}
	_, prompt := c.Source.(*Traffic)
	s.engine = stack.New(stack.Config{
		Name:   Name,
		Source: c.Source,
		Prompt: prompt,
		Sink:   s.deliver,
		Clock:  s.config.Clock,
		Caps: divertdrv.Caps{
			Inject: true, InjectInbound: true, Modify: true, Grow: true, GSO: true, IfIdx: true, Fragments: true,
			LossCounted: true, HeaderAlign: s.config.HeaderAlign, HoldMax: s.config.HoldMax,
		},
	})
	return s
}

func (c Config) withDefaults() Config {
	drop := func(*divertdrv.Address, []byte) {}
	if c.Clock == nil {
		c.Clock = clock.System
	}
	if c.MTU <= 0 {
		c.MTU = DefaultMTU
	}
	if c.IfIdx == 0 {
		c.IfIdx = DefaultIfIdx
	}
	if c.HoldMax <= 0 {
		c.HoldMax = DefaultHoldMax
	}
	if c.OnWire == nil {
		c.OnWire = drop
	}
	if c.OnHost == nil {
		c.OnHost = drop
	}
	return c
}

// Name returns "sim".
func (s *Stack) Name() string { return Name }

// Open opens a handle; it is called by divertdrv.Open. Layers other than network and forward, and more than one reader, are
// ErrUnsupported.
func (s *Stack) Open(f *divertdrv.Filter, l divertdrv.Layer, o *divertdrv.Options) (divertdrv.Conn, error) {
	return s.engine.Open(f, l, o)
}

// Send is the host that emits a packet. What is not an IP packet goes out too, undecoded.
//
// The error of Send, Receive, Loop, Forward and Enter is an OpError over ErrTooBig (it was taken by no handle and does not fit
// the wire), ErrShutdown (after End), ErrClosed (after Close), or ErrNoRoom: it came while OnWire or OnHost was running and
// 4096 others wait for that already.
func (s *Stack) Send(data []byte) error {
	a := s.address(data)
	a.SetOutbound(true)
	a.SetChecksums(!s.config.Offload)
	return s.engine.Enter(&a, data)
}

// Receive is the wire that brings a packet to the host.
func (s *Stack) Receive(data []byte) error {
	a := s.address(data)
	return s.engine.Enter(&a, data)
}

// Loop is the host that sends to itself. Such a packet is seen once, outbound (WinDivert: Loopback).
func (s *Stack) Loop(data []byte) error {
	a := s.address(data)
	a.SetOutbound(true)
	a.SetLoopback(true)
	return s.engine.Enter(&a, data)
}

// Forward is the wire that brings a packet which the host routes on; it is seen at the forward layer, outbound.
func (s *Stack) Forward(data []byte) error {
	a := s.address(data)
	a.SetLayer(addr.NetworkForward, addr.EventPacket)
	a.SetOutbound(true)
	return s.engine.Enter(&a, data)
}

// Enter lets a packet in with an Address of the caller's making: an impostor, another interface, a time of its own.
func (s *Stack) Enter(a *divertdrv.Address, data []byte) error { return s.engine.Enter(a, data) }

func (s *Stack) address(data []byte) (a divertdrv.Address) {
	a.Timestamp = s.now().UnixNano()
	a.SetInterface(s.config.IfIdx, 0)
	a.SetIPv6(len(data) > 0 && data[0]>>4 == 6)
	a.SetChecksums(true)
	return a
}

func (s *Stack) now() time.Time { return s.config.Clock.Now() }

// deliver is the end of every walk.
func (s *Stack) deliver(a *divertdrv.Address, data []byte) error {
	switch {
	case a.Loopback() || !a.Outbound():
		s.config.OnHost(a, data)
	case len(data) > s.config.MTU:
		return divertdrv.ErrTooBig
	default:
		s.config.OnWire(a, data)
	}
	return nil
}

// End says that no more packets will come: those after it are refused with ErrShutdown, and each Recv returns ErrShutdown
// once nothing can reach its handle any more. Repeating it is harmless.
func (s *Stack) End() { s.engine.End() }

// Close ends the driver: every handle is closed, unread packets go on their way. Repeating it is harmless.
func (s *Stack) Close() { s.engine.Close() }

// Stats counts the packets of the whole host. All that entered or was injected is at every moment queued, received and not
// yet judged, dropped, lost, or counted here.
type Stats struct {
	Entered  uint64 // sent, received, looped, forwarded, or made by the Source
	Left     uint64 // given to OnWire or OnHost
	Refused  uint64 // did not fit the wire
	Oversize uint64 // of those that entered: over divertdrv.MTUMax, so no handle was asked
	Turned   uint64 // not let in: after End or Close, or too many at once
}

// Stats returns a snapshot.
func (s *Stack) Stats() Stats { return Stats(s.engine.Stats()) }

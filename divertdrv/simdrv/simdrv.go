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
// Packets belong to who gives them: the stack copies what it keeps. Nothing here blocks but Recv. All five layers are there:
// flows follow from the packets that pass (see package flows for how), sockets are made with Bind.
package simdrv

import (
	"github.com/weirnet/weir/divertdrv"
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

	DefaultSocketsMax = 65536
)

// Source makes packets on demand: an idle Recv asks for the next one, and none is ever lost to a full queue. Traffic is one.
type Source interface {
	// Next returns the next packet with its Address, both valid until the next call; io.EOF: no more. It is never called
	// twice at a time. A Recv that is inside Next is not woken by Shutdown or Close before Next returns.
	Next() (a *divertdrv.Address, data []byte, err error)
}

// PromptSource is a Source whose Next never waits, not even for a peer: a Recv fills a whole batch from it at once, where one of
// another Source returns with the first packet. Traffic is one.
type PromptSource interface {
	Source
	Prompt()
}

// Config describes the host. The zero value is a host with Ethernet's MTU on which packets come by Send and Receive only.
type Config struct {
	Clock clock.Clock // deadlines, timestamps and the queue's time limit go by it; nil: the system's

	MTU         int    // bytes, largest packet that leaves to the wire; larger ones leave in fragments, or are ErrTooBig. 0: 1500
	IfIdx       uint32 // index of the one interface where Interfaces says nothing. 0: 1
	ProcessID   uint32 // of those that open handles, in REFLECT events. 0: this process
	Offload     bool   // the interface computes checksums: those of what the host sends are owed (Address.TCPChecksum, … are false)
	HeaderAlign int    // bytes; the header of an injected outbound packet must start at such an address, or ErrMisaligned. 0: anywhere
	HoldMax     int    // packets that each handle may hold at once. 0: 4096
	SocketsMax  int    // sockets that may be open at once. 0: 65,536
	FlowsMax    int    // flows that are followed at once; then the one that was silent longest is given up. 0: 65,536

	// Flows has flows followed from the start. Without it they are from the first FLOW handle or socket on, which costs nothing
	// until then; a conversation of datagrams that is older is then established by its next packet.
	Flows bool

	// Interfaces are the host's, at least one with an index; nil: one of IfIdx and MTU that leads everywhere, and has no address.
	// A packet from the host to an address of its own is loopback, as to 127.0.0.0/8 and ::1.
	Interfaces []Interface
	// Forwarding makes the host a router: what it receives for addresses that are not its own it passes on, one hop older. Without
	// it all that is received is for the host.
	Forwarding bool

	Source Source // asked for packets when a Recv is idle; its end is the stack's, as End. Its fragments stay what they are. nil: none

	// OnWire gets packets that leave the host, OnHost those that reach it: inbound ones and loopback. Both arguments are valid
	// during the call only. Calls never overlap and come in order. They may send and receive packets on this stack and on
	// others, but call nothing else of this stack and of its handles: that would wait for itself. nil: the packet is gone.
	OnWire, OnHost func(a *divertdrv.Address, data []byte)
}

// Stack is one simulated host with its divert driver. Its methods may be called from any goroutine.
type Stack struct {
	engine *stack.Stack
	config Config
	plain  bool // every packet has one way: there is one interface without addresses, and no forwarding

	anonymous bool // Config names no interfaces

	// Guarded by the engine's lock.
	flows   follower
	sockets sockets
	exit    exit
}

// New returns a host on which no handle is open.
func New(c Config) *Stack {
	s := &Stack{config: c.withDefaults()}
	_, prompt := c.Source.(PromptSource)
	s.engine = stack.New(stack.Config{
		Name:   Name,
		Source: c.Source,
		Prompt: prompt,
		Sink:   s.deliver,
		Clock:  s.config.Clock,

		Entering:   s.entering,
		Injecting:  s.injecting,
		MTU:        s.mtu,
		Reassemble: true,
		Routes:     c.Forwarding,
		ProcessID:  c.ProcessID,
		Caps: divertdrv.Caps{
			Process: true,
			Inject:  true, InjectInbound: true, Modify: true, Grow: true, GSO: true, IfIdx: true, Fragments: true,
			LossCounted: true, HeaderAlign: s.config.HeaderAlign, HoldMax: s.config.HoldMax,
		},
	})
	s.plain = len(s.config.Interfaces) == 1 && len(s.config.Interfaces[0].Addrs) == 0 && !c.Forwarding
	s.anonymous = len(c.Interfaces) == 0
	s.exit.init(s)
	s.sockets = newSockets(s.config.SocketsMax)
	s.flows = newFollower(s)
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
	c.Interfaces = c.interfaces()
	if c.HoldMax <= 0 {
		c.HoldMax = DefaultHoldMax
	}
	if c.SocketsMax <= 0 {
		c.SocketsMax = DefaultSocketsMax
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

// Open opens a handle; it is called by divertdrv.Open. More than one reader is ErrUnsupported.
func (s *Stack) Open(f *divertdrv.Filter, l divertdrv.Layer, o *divertdrv.Options) (divertdrv.Conn, error) {
	if l == divertdrv.LayerFlow {
		s.engine.Do(s.flows.start)
	}
	return s.engine.Open(f, l, o)
}

// End says that no more packets will come: those after it are refused with ErrShutdown, and each Recv returns ErrShutdown
// once nothing can reach its handle any more. Repeating it is harmless.
func (s *Stack) End() { s.engine.End() }

// Close ends the driver: every handle is closed, unread packets go on their way. Repeating it is harmless.
func (s *Stack) Close() {
	s.engine.Do(s.flows.stop)
	s.engine.Close()
}

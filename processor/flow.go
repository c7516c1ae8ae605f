package processor

import (
	"sync/atomic"
	"unsafe"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/wire"
)

// Flow is what a worker remembers of a flow: the packets of both directions with the same addresses, ports and protocol; of ICMP
// echoes also with the same identifier. It is valid during Classify and in deferred work; its entry may then go to another flow.
//
// Its direction is that of its first packet. A TCP flow whose beginning was not seen is midstream: it gets no ALE layers.
type Flow struct {
	// What every packet needs stands in the first 64 bytes.
	key     wire.FlowKey
	seen    int64         // when its last packet came: nanoseconds by the worker's clock
	policy  uint32        // the worker's generation of the policy that authorised it
	refused atomic.Uint32 // why its packets are dropped, see refuse; 0: they are not
	pending atomic.Int32  // jobs that later packets wait behind; while it is not 0 the entry stays
	flags   flowFlags
	state   flowState
	ready   bool // in queue.ready; guarded by queue.mu

	hash     uint32 // the low half of the key's hash
	queue    *flowQueue
	table    *flowTable
	contexts atomic.Pointer[flowContext]
	jobs     jobList // guarded by queue.mu
	judgedAt int64   // when it was left to the kernel, by the worker's clock; valid iff flowJudged
	era      uint32  // of the handle, then
	_        [4]byte
}

// A flow costs 128 bytes, two cache lines, and 16 in the index.
const _ = uint(128-unsafe.Sizeof(Flow{})) + uint(unsafe.Sizeof(Flow{})-128)

// flowState is how far a flow is.
//
//	TCP     opening ──SYN ACK──▶ answered ──ACK──▶ open ──FIN, FIN──▶ closed
//	           └────── a RST, from any state, or an abort ──────────────▲
//	others  open, until they are idle
type flowState uint8

const (
	flowOpening  flowState = iota + 1 // a SYN
	flowAnswered                      // a SYN ACK, on the side that accepts
	flowOpen
	flowClosed // over; the entry stays for a while, so that what strays in is not taken for a new flow
)

type flowFlags uint16

const (
	flowUsed      flowFlags = 1 << iota // since the hand of the clock last passed
	flowOutbound                        // this host, or who is behind it, sent the first packet
	flowFromHigh                        // the first packet came from the key's High endpoint
	flowMidstream                       // TCP, and its beginning was not seen
	flowUntold                          // of packets that ALE is not shown: ICMP errors, fragments
	flowFinLow                          // Low sent a FIN
	flowFinHigh                         // High did
	flowPended                          // its first packet was pended
	flowJudged                          // it was left to the kernel, see judge.go
	flowEdited                          // a packet of it was changed
)

// Key names the flow.
func (f *Flow) Key() wire.FlowKey { return f.key }

// Outbound says whether the flow's first packet left this host.
func (f *Flow) Outbound() bool { return f.flags&flowOutbound != 0 }

// Midstream says that the flow is TCP and its beginning was not seen.
func (f *Flow) Midstream() bool { return f.flags&flowMidstream != 0 }

// Established says whether the flow's handshake is complete; other flows than TCP need none.
func (f *Flow) Established() bool { return f.state == flowOpen }

// authLayer is where the flow is authorised.
func (f *Flow) authLayer() Layer {
	if f.Outbound() {
		return ALEAuthConnect
	}
	return ALEAuthRecvAccept
}

// authorised says whether ALE has to do with the flow.
func (f *Flow) authorised() bool { return f.flags&(flowMidstream|flowUntold) == 0 }

const (
	refusedBit     = 1 << 9
	refusedOpening = 1 << 8 // its first packet was refused, so that there is no flow: the next one opens it anew
)

// refuse has the flow's packets dropped from here on. It may be called from any goroutine.
func (f *Flow) refuse(why divertdrv.Cause, opening bool) {
	r := uint32(refusedBit) | uint32(why)
	if opening {
		r |= refusedOpening
	}
	f.refused.Store(r)
}

// refusal returns why the flow's packets are dropped.
func (f *Flow) refusal() (why divertdrv.Cause, refused bool) {
	r := f.refused.Load()
	return divertdrv.Cause(r), r != 0
}

// steps is what a packet is to its flow: which ALE layers it visits, and whether it ends the flow.
type steps struct {
	auth        bool // it opens the flow, or is the first since the policy changed
	reauth      bool // with auth: the flow was authorised before, or its first packet was pended
	pended      bool // with reauth: that is why
	established bool // it completes the handshake
	noListener  bool // it says that nobody listens at the port that the flow's first packet was for
	ends        bool // it is the flow's last
}

// advance moves the flow on by a packet. fresh: the entry was made for it. outbound is the packet's direction, srcHigh whether
// its source is the key's High endpoint.
func (f *Flow) advance(pkt []byte, h *wire.Headers, fresh, outbound, srcHigh bool) steps {
	if fresh {
		f.begin(h, pkt, outbound, srcHigh)
	}
	if f.flags&flowUntold != 0 || !forALE(h, pkt) {
		return steps{}
	}
	if t := h.TCP(pkt); t != nil {
		return f.advanceTCP(t.Flags(), fresh, srcHigh)
	}
	return steps{auth: fresh, established: fresh}
}

// begin starts a flow's entry.
func (f *Flow) begin(h *wire.Headers, pkt []byte, outbound, srcHigh bool) {
	f.state, f.flags = flowOpen, flowUsed
	if outbound {
		f.flags |= flowOutbound
	}
	if srcHigh {
		f.flags |= flowFromHigh
	}
	switch t := h.TCP(pkt); {
	case !forALE(h, pkt):
		f.flags |= flowUntold
	case t == nil:
	case t.Flags()&(wire.SYN|wire.ACK|wire.RST) == wire.SYN:
		f.state = flowOpening
	default:
		f.flags |= flowMidstream
	}
}

func (f *Flow) advanceTCP(flags wire.TCPFlags, fresh, srcHigh bool) (s steps) {
	opener := srcHigh == (f.flags&flowFromHigh != 0)
	s.auth = fresh && f.state == flowOpening
	switch {
	case f.state == flowClosed:
	case flags&wire.RST != 0:
		s.noListener = f.state == flowOpening && !opener && !f.Outbound()
		s.ends = true
		f.state = flowClosed
	case fresh || f.state == flowOpen:
	case flags&(wire.SYN|wire.ACK) == wire.SYN|wire.ACK && !opener && f.state == flowOpening:
		// The side that connects is done with the answer; the one that accepts waits for the last word.
		f.state = flowAnswered
		s.established = f.Outbound()
	case flags&(wire.SYN|wire.ACK) == wire.ACK && opener:
		s.established = true
	}
	if s.established {
		f.state = flowOpen
	}
	if flags&wire.FIN != 0 && f.state == flowOpen {
		s.ends = f.fin(srcHigh)
	}
	return s
}

// fin notes who closes; true: both have.
func (f *Flow) fin(srcHigh bool) bool {
	if srcHigh {
		f.flags |= flowFinHigh
	} else {
		f.flags |= flowFinLow
	}
	if f.flags&(flowFinHigh|flowFinLow) != flowFinHigh|flowFinLow {
		return false
	}
	f.state = flowClosed
	return true
}

// reopens says whether a packet begins a new flow where an old one with the same key is over, was refused, or where its beginning
// was not seen: else a stray ACK would spare the SYN behind it the question.
func (f *Flow) reopens(h *wire.Headers, pkt []byte) bool {
	refused := f.refused.Load()
	if t := h.TCP(pkt); t != nil {
		return (refused != 0 || f.state == flowClosed || f.Midstream()) && t.Flags()&(wire.SYN|wire.ACK|wire.RST) == wire.SYN
	}
	return refused&refusedOpening != 0
}

// forALE says whether the packet is one that ALE layers are shown: whole, and no ICMP error.
func forALE(h *wire.Headers, pkt []byte) bool { return !h.Fragment && !h.ICMPError(pkt) }

// portUnreachable says whether a packet tells that nobody listens at a port.
func portUnreachable(h *wire.Headers, pkt []byte) bool {
	switch h.Transport {
	case wire.ICMP:
		m := h.ICMP(pkt)
		return m.Type() == wire.ICMPUnreachable && m.Code() == 3
	case wire.ICMPv6:
		m := h.ICMPv6(pkt)
		return m.Type() == wire.ICMPv6Unreachable && m.Code() == 4
	}
	return false
}

package flows

import (
	"math"
	"net/netip"
	"time"

	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/wire"
)

// MaxDefault is how many flows a Table follows at a time, those that are being opened included.
const MaxDefault = 65536

// How long a flow may be silent.
const (
	handshakeIdle = 4 * time.Minute                // of a TCP connection that is being opened; RFC 5382, REQ-5
	tcpIdle       = 2*time.Hour + 4*time.Minute    // RFC 5382, REQ-5
	udpIdle       = 2 * time.Minute                // RFC 4787, REQ-5
	otherIdle     = time.Minute                    // ICMP: RFC 5508, REQ-1
	never         = math.MaxInt64 - int64(tcpIdle) // a time that does not come
)

// Never is what Due returns when nothing falls due.
const Never int64 = never

// class is what a flow's silence is measured by. Flows of a class are in a list of their own, so that it is sorted by time.
type class uint8

const (
	opening class = iota
	other
	udp
	tcp
	classes
)

var idle = [classes]int64{int64(handshakeIdle), int64(otherIdle), int64(udpIdle), int64(tcpIdle)}

// Config says whom a Table asks and tells. Both functions are called from the Table's methods and must not call them.
type Config struct {
	Max int // flows at a time; 0: MaxDefault

	// Owner fills in the ids of a flow that is established, and may note something of its own about it. nil: they stay 0.
	Owner func(f *addr.Flow) (note uint64)
	// Tell gets the events ESTABLISHED and DELETED, each with the flow's note.
	Tell func(a *addr.Address, note uint64)
}

// Table follows the flows of one host.
type Table struct {
	config  Config
	byKey   map[key]*flow
	lists   [classes]list // each by the time of the last packet, the oldest first
	free    *flow         // joined by next
	due     int64
	evicted uint64
	headers wire.Headers
	event   addr.Address
}

// key names a flow from the host's side. A packet from the host to itself belongs to two flows, one of each end.
type key struct {
	wire.FlowKey
	localHigh bool // the local end is the key's high one
}

type flow struct {
	key
	about      addr.Flow
	note       uint64 // of Config.Owner
	outbound   bool   // the host began it
	loopback   bool
	class      class
	tcp        conversation // valid iff the protocol is TCP
	seen       int64        // when its last packet was
	prev, next *flow        // in its class's list
}

// New returns an empty Table.
func New(c Config) *Table {
	if c.Max <= 0 {
		c.Max = MaxDefault
	}
	return &Table{config: c, byKey: make(map[key]*flow), due: Never}
}

// Len is the number of flows, those that are being opened included.
func (t *Table) Len() int { return len(t.byKey) }

// Evicted counts flows that were given up for new ones, since Config.Max were there.
func (t *Table) Evicted() uint64 { return t.evicted }

// See is told of a packet at time now (nanoseconds): outbound says that the host emits it, else it reaches the host. What is no
// whole packet belongs to no flow.
func (t *Table) See(a *addr.Address, data []byte, outbound bool, now int64) {
	h := &t.headers
	if !wire.Parse(data, h) || h.Fragment && h.FragOff != 0 || isError(h, data) {
		return
	}
	var k key
	srcHigh, ok := h.ReadFlow(data, &k.FlowKey)
	if !ok {
		return
	}
	k.localHigh = srcHigh == outbound
	f := t.byKey[k]
	if f == nil {
		if h.Proto == wire.ProtoTCP && !opens(h, data) {
			return // of a connection whose beginning was not seen
		}
		f = t.begin(k, a, data, outbound, now)
	}
	t.touch(f, now)
	if h.Proto == wire.ProtoTCP {
		t.follow(f, data, outbound, now)
	}
}

// begin makes a flow. One of TCP is established later.
func (t *Table) begin(k key, a *addr.Address, data []byte, outbound bool, now int64) *flow {
	for len(t.byKey) >= t.config.Max {
		t.evict(now)
	}
	f := t.free
	if f == nil {
		f = new(flow)
	} else {
		t.free = f.next
	}
	*f = flow{key: k, outbound: outbound, loopback: a.Loopback(), seen: now}
	f.about.Protocol = k.Proto()
	f.about.Local, f.about.Remote = t.ends(k, data, outbound)
	t.byKey[k] = f
	if k.Proto() == wire.ProtoTCP {
		t.file(f, opening)
	} else {
		t.establish(f, now)
	}
	return f
}

// ends returns the addresses and ports of a flow. In place of ports ICMP has its type at the local and its code at the remote
// end, as WFP has it.
func (t *Table) ends(k key, data []byte, outbound bool) (local, remote netip.AddrPort) {
	l, r := k.Low(), k.High()
	if k.localHigh {
		l, r = r, l
	}
	if h := &t.headers; h.Transport == wire.ICMP || h.Transport == wire.ICMPv6 {
		l.Port, r.Port = uint16(data[h.TransportOff]), uint16(data[h.TransportOff+1])
	}
	return netip.AddrPortFrom(l.Addr().Unmap(), l.Port), netip.AddrPortFrom(r.Addr().Unmap(), r.Port)
}

func (t *Table) establish(f *flow, now int64) {
	switch f.Proto() {
	case wire.ProtoTCP:
		t.file(f, tcp)
	case wire.ProtoUDP:
		t.file(f, udp)
	default:
		t.file(f, other)
	}
	if t.config.Owner != nil {
		f.note = t.config.Owner(&f.about)
	}
	t.tell(f, addr.EventEstablished, now)
}

// end forgets a flow.
func (t *Table) end(f *flow, now int64) {
	if f.class != opening {
		t.tell(f, addr.EventDeleted, now)
	}
	delete(t.byKey, f.key)
	t.lists[f.class].remove(f)
	f.next, t.free = t.free, f
}

func (t *Table) tell(f *flow, e addr.Event, now int64) {
	a := &t.event
	*a = addr.Address{Timestamp: now}
	a.SetLayer(addr.LayerFlow, e)
	a.SetOutbound(f.outbound)
	a.SetLoopback(f.loopback)
	a.SetIPv6(f.Version() == 6)
	a.SetFlow(f.about)
	t.config.Tell(a, f.note)
}

// isError: ICMP that tells of another packet is no conversation. RFC 1122, 3.2.2; RFC 4443, 2.1.
func isError(h *wire.Headers, data []byte) bool {
	switch h.Transport {
	case wire.ICMP:
		switch data[h.TransportOff] {
		case 3, 4, 5, 11, 12:
			return true
		}
	case wire.ICMPv6:
		return data[h.TransportOff] < 128
	}
	return false
}

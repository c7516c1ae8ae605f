package simdrv

import (
	"io"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
)

// Traffic is a Source of mixed packets as one host sees them, in both directions: TCP conversations from handshake to the end,
// DNS questions and answers, pings, datagrams in fragments, IPv6 with extension headers, and some odd ones, over IPv4 and
// IPv6. Lengths and checksums are right. The same seed makes the same packets; making one does not allocate. Addresses are
// of the networks reserved for documentation (RFC 5737, RFC 3849), names of RFC 2606.
//
// A Traffic belongs to one user: it keeps what it made last.
type Traffic struct {
	rng      *rand.Rand
	left     int // packets to come; below 0: no end
	addr     divertdrv.Address
	packet   []byte // what was made last
	noise    []byte // payload is cut from it
	id       uint16 // of the next IPv4 packet
	tcp      [conversations]conversation
	split    fragments
	question dnsQuestion
	ping     echo
}

const (
	conversations = 24      // TCP conversations that are under way at a time
	maxDatagram   = 4096    // bytes of a datagram before it is split
	frameMTU      = 1500    // bytes of the largest packet
	gapMin        = 5_000   // nanoseconds from packet to packet
	gapSpan       = 100_000 // and at most so many more
	noiseLen      = 2 * maxDatagram
)

// The hosts: ours, its name server, and a network of peers, of both families.
var (
	local4, local6   = netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("2001:db8:1::10")
	server4, server6 = netip.MustParseAddr("192.0.2.53"), netip.MustParseAddr("2001:db8:1::53")
	peers4, peers6   = netip.MustParseAddr("198.51.100.0"), netip.MustParseAddr("2001:db8:2::")
)

// trafficStart is the time of the first packet, so that captures of two runs are equal.
var trafficStart = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// NewTraffic makes so many packets, then io.EOF; 0 or less: without end.
func NewTraffic(seed uint64, packets int) *Traffic {
	t := &Traffic{
		rng:    rand.New(rand.NewPCG(seed, 0x77656972)),
		left:   packets,
		packet: make([]byte, 0, maxDatagram),
		noise:  make([]byte, noiseLen),
	}
	if packets <= 0 {
		t.left = -1
	}
	for i := range t.noise {
		t.noise[i] = byte(t.rng.Uint32())
	}
	t.addr.Timestamp = trafficStart.UnixNano()
	t.addr.SetLayer(addr.Network, addr.EventPacket)
	t.addr.SetInterface(DefaultIfIdx, 0)
	t.addr.SetChecksums(true)
	t.split.whole = make([]byte, 0, maxDatagram)
	return t
}

// Prompt says that Next never waits.
func (t *Traffic) Prompt() {}

// Next makes the next packet; it is valid until the next call. Fragments of one datagram come one after the other.
func (t *Traffic) Next() (*divertdrv.Address, []byte, error) {
	if t.left == 0 {
		return nil, nil, io.EOF
	}
	t.left--
	t.addr.Timestamp += gapMin + t.rng.Int64N(gapSpan)
	t.id++
	var outbound bool
	if t.split.more() {
		outbound = t.nextFragment()
	} else {
		outbound = t.make()
	}
	t.addr.SetOutbound(outbound)
	t.addr.SetIPv6(t.packet[0]>>4 == 6)
	return &t.addr, t.packet, nil
}

// make chooses a kind by its share, in percent.
func (t *Traffic) make() (outbound bool) {
	switch n := t.rng.IntN(100); {
	case n < 68:
		return t.makeTCP(&t.tcp[t.rng.IntN(conversations)])
	case n < 82:
		return t.makeDNS()
	case n < 88:
		return t.makeEcho()
	case n < 91:
		return t.makeFragments()
	case n < 96:
		return t.makeExtended()
	default:
		return t.makeOdd()
	}
}

// chance is true in so many of 100 cases.
func (t *Traffic) chance(percent int) bool { return t.rng.IntN(100) < percent }

// peer returns one of 250 remote hosts.
func (t *Traffic) peer(v6 bool) netip.Addr {
	last := byte(1 + t.rng.IntN(250))
	if v6 {
		b := peers6.As16()
		b[15] = last
		return netip.AddrFrom16(b)
	}
	b := peers4.As4()
	b[3] = last
	return netip.AddrFrom4(b)
}

// pair returns our address and a peer's, of one family.
func (t *Traffic) pair(v6 bool) (local, remote netip.Addr) {
	if v6 {
		return local6, t.peer(true)
	}
	return local4, t.peer(false)
}

// some returns n bytes of noise, n at most maxDatagram.
func (t *Traffic) some(n int) []byte {
	at := t.rng.IntN(noiseLen - n)
	return t.noise[at : at+n]
}

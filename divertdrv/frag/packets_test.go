package frag_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weirnet/weir/divertdrv/frag"
	"github.com/weirnet/weir/divertdrv/wire"
)

// tb is what *testing.T and *rapid.T share.
type tb interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

func parse(t tb, b []byte) *wire.Headers {
	t.Helper()
	h := new(wire.Headers)
	if !wire.Parse(b, h) || h.Truncated {
		t.Fatalf("no whole IP packet: % x", b)
	}
	return h
}

// owner drives a Reassembler as a driver does, and after each call looks that no token is lost or handed out twice, that the
// counters tell the same, and that the limits hold.
type owner struct {
	t tb
	*frag.Reassembler
	cfg      frag.Config
	now      time.Time
	tokens   uint64
	held     map[uint64]bool
	given    uint64
	outcomes [frag.OutcomeCount]uint64
	exceeded [][]byte // first fragments that TimeExceeded was shown
}

func newOwner(t tb, c frag.Config) *owner {
	o := &owner{t: t, now: time.Unix(1_000_000, 0), held: make(map[uint64]bool)}
	c.Now = func() time.Time { return o.now }
	c.Release = o.release
	c.TimeExceeded = func(first []byte) { o.exceeded = append(o.exceeded, slices.Clone(first)) }
	o.cfg = c
	o.Reassembler = frag.NewReassembler(c)
	return o
}

func (o *owner) release(token uint64, out frag.Outcome) {
	if !o.held[token] {
		o.t.Errorf("token %d released with %v, but it is not held", token, out)
	}
	delete(o.held, token)
	o.outcomes[out]++
}

// add gives a fragment and checks what can be checked of any.
func (o *owner) add(pkt []byte) frag.Result { return o.addScoped(pkt, 0) }

func (o *owner) addScoped(pkt []byte, scope uint32) frag.Result {
	o.t.Helper()
	var h wire.Headers
	wire.Parse(pkt, &h)
	before := slices.Clone(pkt)
	o.tokens++
	res := o.Add(pkt, &h, scope, o.tokens)
	switch res.Outcome {
	case frag.NotFragment:
	case frag.Held:
		o.given++
		o.held[o.tokens] = true
	default:
		o.given++
		o.outcomes[res.Outcome]++
	}
	if !slices.Equal(before, pkt) {
		o.t.Fatalf("Add changed the fragment")
	}
	if (res.Outcome == frag.Joined) != (res.Whole != nil) {
		o.t.Fatalf("%v with a whole of %d bytes", res.Outcome, len(res.Whole))
	}
	if res.Whole != nil {
		o.checkWhole(res)
	}
	o.check()
	return res
}

// check is the law: given = joined + dropped by outcome + waiting.
func (o *owner) check() {
	o.t.Helper()
	s := o.Stats()
	if s.Fragments != o.given || s.Outcomes != o.outcomes || s.Waiting != len(o.held) {
		o.t.Fatalf("the driver counts %d %v and %d waiting, the Reassembler %+v", o.given, o.outcomes, len(o.held), s)
	}
	if s.Fragments != s.Outcomes[frag.Joined]+s.Dropped()+uint64(s.Waiting) {
		o.t.Fatalf("fragments are lost: %+v", s)
	}
	if o.cfg.Packets > 0 && s.Packets > o.cfg.Packets || o.cfg.Bytes > 0 && s.Bytes > max(o.cfg.Bytes, 1<<18) {
		o.t.Fatalf("over the limit: %+v", s)
	}
	if (s.Waiting == 0) != (s.Bytes == 0) {
		o.t.Fatalf("%d waiting in %d bytes", s.Waiting, s.Bytes)
	}
}

func (o *owner) checkWhole(res frag.Result) {
	o.t.Helper()
	h := parse(o.t, res.Whole)
	if h.Fragment || int(h.Len) != len(res.Whole) {
		o.t.Fatalf("the whole is a fragment or has other lengths: %+v", h)
	}
	if h.Version == 4 && wire.Checksum(res.Whole[:h.HeaderLen]) != 0 {
		o.t.Fatalf("the whole's header checksum is wrong")
	}
	if res.Pieces < 1 || res.Largest < wire.IPv4HeaderLen {
		o.t.Fatalf("%d pieces, the largest %d", res.Pieces, res.Largest)
	}
}

// want gives fragments that all must have the same outcome.
func (o *owner) want(out frag.Outcome, pkts ...[]byte) frag.Result {
	o.t.Helper()
	var res frag.Result
	for i, p := range pkts {
		if res = o.add(p); res.Outcome != out {
			o.t.Fatalf("fragment %d: %v, want %v", i, res.Outcome, out)
		}
	}
	return res
}

// piece is one fragment in words: bytes [off, off+n) of a UDP packet, each of them fill.
type piece struct {
	off, n int
	more   bool
	fill   byte
}

func (p piece) String() string { return fmt.Sprintf("[%d,%d)%v=%c", p.off, p.off+p.n, p.more, p.fill) }

func (p piece) build(v6 bool) []byte { return fragmentOf(v6, 7, wire.ProtoUDP, p) }

// fragmentOf builds a fragment with no options or extension headers but the one.
func fragmentOf(v6 bool, id uint16, proto uint8, p piece) []byte {
	head := wire.IPv4HeaderLen
	if v6 {
		head = wire.IPv6HeaderLen + wire.FragmentLen
	}
	b := make([]byte, head+p.n)
	for i := range b[head:] {
		b[head+i] = p.fill
	}
	if v6 {
		ip := (*wire.IPv6Header)(b)
		ip.SetVersion()
		ip.SetPayloadLength(uint16(len(b) - wire.IPv6HeaderLen))
		ip.SetNextHeader(wire.ProtoFragment)
		ip.SetHopLimit(64)
		b[8], b[24], b[39] = 0xfd, 0xfd, 1
		f := (*wire.FragmentHeader)(b[wire.IPv6HeaderLen:])
		f.SetNextHeader(proto)
		f.SetFragOff(uint16(p.off))
		f.SetMoreFrags(p.more)
		f.SetID(uint32(id))
		return b
	}
	ip := (*wire.IPv4Header)(b)
	ip.SetHeaderLen(wire.IPv4HeaderLen)
	ip.SetLength(uint16(len(b)))
	ip.SetID(id)
	ip.SetMF(p.more)
	ip.SetFragOff(uint16(p.off))
	ip.SetTTL(64)
	ip.SetProtocol(proto)
	b[12], b[16], b[19] = 10, 10, 1
	ip.SetChecksum(wire.Checksum(b[:wire.IPv4HeaderLen]))
	return b
}

// packets draws whole packets with right checksums: options or extension headers, TCP, UDP or an unknown protocol. Those of IPv4
// have an identification and may be fragmented.
func packets(longest int) *rapid.Generator[[]byte] {
	return rapid.Custom(func(t *rapid.T) []byte {
		payload := make([]byte, rapid.IntRange(0, longest).Draw(t, "payload"))
		x := uint64(rapid.Uint32().Draw(t, "seed"))<<1 | 1
		for i := range payload {
			x = x*6364136223846793005 + 1442695040888963407
			payload[i] = byte(x >> 56)
		}
		transport, proto := drawTransport(t)
		body := append(transport, payload...)
		if proto == wire.ProtoUDP {
			binary.BigEndian.PutUint16(body[4:], uint16(len(body)))
		}
		if rapid.Bool().Draw(t, "v6") {
			return drawIPv6(t, proto, body)
		}
		return drawIPv4(t, proto, body)
	})
}

func drawTransport(t *rapid.T) (header []byte, proto uint8) {
	proto = rapid.SampledFrom([]uint8{wire.ProtoTCP, wire.ProtoUDP, 132}).Draw(t, "proto")
	header = rapid.SliceOfN(rapid.Byte(), 20, 20).Draw(t, "transport")
	switch proto {
	case wire.ProtoTCP:
		words := rapid.IntRange(0, 10).Draw(t, "TCP options")
		header[12] = uint8(5+words)<<4 | header[12]&1
		header = append(header, slices.Repeat([]byte{wire.OptNop}, 4*words)...)
	case wire.ProtoUDP:
		header = header[:wire.UDPHeaderLen]
	}
	return header, proto
}

func drawIPv4(t *rapid.T, proto uint8, body []byte) []byte {
	var options []byte
	for _, o := range rapid.SliceOfN(rapid.SampledFrom([]string{
		"\x01", "\x94\x04\x00\x00", "\x07\x07\x04\x00\x00\x00\x00", "\x83\x07\x04\x0a\x00\x00\x09", "\x82\x03\x01",
	}), 0, 5).Draw(t, "options") {
		options = append(options, o...)
	}
	for len(options)%4 != 0 {
		options = append(options, wire.OptEnd)
	}
	head := wire.IPv4HeaderLen + len(options)
	body = body[:min(len(body), 65535-head)]
	b := slices.Concat(make([]byte, wire.IPv4HeaderLen), options, body)
	ip := (*wire.IPv4Header)(b)
	ip.SetHeaderLen(head)
	ip.SetTOS(rapid.Uint8().Draw(t, "tos"))
	ip.SetLength(uint16(len(b)))
	ip.SetID(rapid.Uint16Min(1).Draw(t, "id"))
	ip.SetTTL(rapid.Uint8().Draw(t, "ttl"))
	ip.SetProtocol(proto)
	copy(b[12:20], rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(t, "addresses"))
	return checksummed(b)
}

func drawIPv6(t *rapid.T, proto uint8, body []byte) []byte {
	b := make([]byte, wire.IPv6HeaderLen)
	ip := (*wire.IPv6Header)(b)
	ip.SetVersion()
	ip.SetTrafficClass(rapid.Uint8().Draw(t, "class"))
	ip.SetFlowLabel(rapid.Uint32().Draw(t, "label"))
	ip.SetHopLimit(rapid.Uint8().Draw(t, "hops"))
	copy(b[8:40], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "addresses"))
	at := 6
	for _, x := range rapid.SliceOfN(rapid.SampledFrom([]uint8{
		wire.ProtoHopByHop, wire.ProtoDestOpts, wire.ProtoRouting, wire.ProtoMobility,
	}), 0, 4).Draw(t, "extensions") {
		b[at], at = x, len(b)
		words := rapid.IntRange(0, 3).Draw(t, "words")
		b = append(b, make([]byte, 8+8*words)...)
		b[at+1] = uint8(words)
	}
	b[at] = proto
	b = append(b, body[:min(len(body), 65535+wire.IPv6HeaderLen-len(b))]...)
	(*wire.IPv6Header)(b).SetPayloadLength(uint16(len(b) - wire.IPv6HeaderLen))
	return checksummed(b)
}

func checksummed(b []byte) []byte {
	var h wire.Headers
	wire.Parse(b, &h)
	if h.Transport == wire.UDP {
		h.UDP(b).SetLength(uint16(h.Len - h.TransportOff))
	}
	wire.CalcParsed(b, &h, 0)
	return b
}

// fragments cuts b and returns copies.
func fragments(t tb, b []byte, l frag.Limit) [][]byte {
	t.Helper()
	var c frag.Cutter
	var all [][]byte
	if err := c.Fragment(b, parse(t, b), l, func(p []byte) error {
		all = append(all, slices.Clone(p))
		return nil
	}); err != nil {
		t.Fatalf("fragmenting %d bytes by %+v: %v", len(b), l, err)
	}
	return all
}

func both(t *testing.T, f func(t *testing.T, v6 bool)) {
	t.Run("IPv4", func(t *testing.T) { f(t, false) })
	t.Run("IPv6", func(t *testing.T) { f(t, true) })
}

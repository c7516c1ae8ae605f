package rewrite

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/processor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// run sends packets through a policy on a simulated host and returns what leaves it, all of it accounted for.
func run(t testing.TB, sublayers []processor.Sublayer, filters []processor.Filter, packets ...[]byte) [][]byte {
	t.Helper()
	var out [][]byte
	sim := simdrv.New(simdrv.Config{OnWire: func(_ *divertdrv.Address, b []byte) { out = append(out, slices.Clone(b)) }})
	defer sim.Close()
	h, err := divertdrv.Open("true", divertdrv.Network, &divertdrv.Options{Driver: sim})
	if err != nil {
		t.Fatal(err)
	}
	pol, err := processor.NewPolicy(sublayers, filters)
	if err != nil {
		t.Fatal(err)
	}
	p, err := processor.New(processor.Config{Handles: []*divertdrv.Handle{h}, Policy: pol})
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range packets {
		if err := sim.Send(b); err != nil {
			t.Fatal(err)
		}
	}
	sim.End()
	if err := p.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	s := h.Stats()
	if err := s.Conserved(); err != nil || s.Received != uint64(len(packets)) || s.InBatch != 0 || s.Passed != uint64(len(out)) {
		t.Errorf("%d packets, stats %+v, %v", len(packets), s, err)
	}
	return out
}

// rewriteAll runs packets through one callout at the packet layer, where fragments are shown too.
func rewriteAll(t testing.TB, c *Callout, packets ...[]byte) [][]byte {
	t.Helper()
	return run(t, nil, []processor.Filter{{
		Name: "all", Layer: processor.OutboundIPPacket, Action: processor.ActionCalloutUnknown, Callout: c,
	}}, packets...)
}

func mustNew(t testing.TB, c Config) *Callout {
	t.Helper()
	callout, err := New("x", c)
	if err != nil {
		t.Fatal(err)
	}
	return callout
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func offset(n uint16) *uint16 { return &n }

// Every change gives the packet that gopacket builds with the new values, to the byte.
func TestRewritesAsGopacketBuilds(t *testing.T) {
	greet := &Payload{Find: "weir", Replace: "WEIR"}
	for _, c := range []struct {
		name   string
		config Config
		before spec
		change func(s *spec)
	}{
		{"source address", Config{SrcAddr: addr("192.0.2.9")}, tcp4, func(s *spec) { s.src = "192.0.2.9" }},
		{"destination address", Config{DstAddr: addr("192.0.2.9")}, udp4, func(s *spec) { s.dst = "192.0.2.9" }},
		{"mapped address", Config{DstAddr: addr("::ffff:192.0.2.9")}, udp4, func(s *spec) { s.dst = "192.0.2.9" }},
		{"address of ICMP", Config{DstAddr: addr("192.0.2.9")}, icmp4, func(s *spec) { s.dst = "192.0.2.9" }},
		{"IPv6 addresses", Config{SrcAddr: addr("fd00::9"), DstAddr: addr("fd00::8")}, tcp6, func(s *spec) { s.src, s.dst = "fd00::9", "fd00::8" }},
		{"address of ICMPv6", Config{SrcAddr: addr("fd00::9")}, icmp6, func(s *spec) { s.src = "fd00::9" }},
		{"ports of TCP", Config{SrcPort: 1, DstPort: 65535}, tcp4, func(s *spec) { s.srcPort, s.dstPort = 1, 65535 }},
		{"ports of UDP", Config{SrcPort: 1, DstPort: 65535}, udp6, func(s *spec) { s.srcPort, s.dstPort = 1, 65535 }},
		{"TTL", Config{TTL: 1}, tcp4, func(s *spec) { s.ttl = 1 }},
		{"hop limit", Config{TTL: 255}, udp6, func(s *spec) { s.ttl = 255 }},
		{"text", Config{Payload: greet}, udp4, func(s *spec) { s.payload = "hello WEIR" }},
		{"text in ICMP", Config{Payload: greet}, icmp4, func(s *spec) { s.payload = "hello WEIR" }},
		{"text in ICMPv6", Config{Payload: greet}, icmp6, func(s *spec) { s.payload = "\x00\x05\x00\x06hello WEIR" }},
		{"first place", Config{Payload: &Payload{Find: "hello", Replace: "HELLO"}}, tcp4, func(s *spec) { s.payload = "HELLO weir, hello" }},
		{"every place", Config{Payload: &Payload{Find: "hello", Replace: "HELLO", All: true}}, tcp6, func(s *spec) { s.payload = "HELLO weir, HELLO" }},
		{"every place, overlapping", Config{Payload: &Payload{Find: "ll", Replace: "l0", All: true}}, tcp4, func(s *spec) { s.payload = "hel0o weir, hel0o" }},
		{"bytes at the end", Config{Payload: &Payload{Offset: offset(8), Write: "ff00", Encoding: "hex"}}, udp4, func(s *spec) { s.payload = "hello we\xff\x00" }},
		{"text at the start", Config{Payload: &Payload{Offset: offset(0), Write: "J"}}, udp4, func(s *spec) { s.payload = "Jello weir" }},
		{"everything", Config{
			SrcAddr: addr("192.0.2.9"), DstAddr: addr("192.0.2.8"), SrcPort: 5, DstPort: 6, TTL: 7, Payload: greet,
		}, tcp4, func(s *spec) {
			*s = spec{src: "192.0.2.9", dst: "192.0.2.8", proto: s.proto, srcPort: 5, dstPort: 6, ttl: 7, payload: "hello WEIR, hello"}
		}},
		{"without a UDP checksum", Config{DstPort: 9, Payload: greet}, udp4.with(func(s *spec) { s.noChecksum = true }), func(s *spec) {
			s.dstPort, s.payload = 9, "hello WEIR"
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			callout := mustNew(t, c.config)
			out := rewriteAll(t, callout, c.before.build(t))
			if want := c.before.with(c.change).build(t); len(out) != 1 || !bytes.Equal(out[0], want) {
				t.Errorf("got  %x\nwant %x", out, want)
			}
			if got := callout.Stats(); got != (Stats{Rewritten: 1}) {
				t.Errorf("stats %+v", got)
			}
		})
	}
}

// What does not fit wholly passes to the byte, and is counted by why.
func TestLeavesAloneWhatDoesNotFit(t *testing.T) {
	for _, c := range []struct {
		name   string
		config Config
		packet spec
		want   Stats
	}{
		{"address of the other family", Config{SrcAddr: addr("192.0.2.9"), TTL: 3}, tcp6, Stats{WrongFamily: 1}},
		{"and the other way", Config{DstAddr: addr("fd00::9"), TTL: 3}, tcp4, Stats{WrongFamily: 1}},
		{"no ports", Config{DstPort: 3, TTL: 3}, icmp4, Stats{NoPorts: 1}},
		{"not found", Config{Payload: &Payload{Find: "wire", Replace: "weir"}, TTL: 3}, udp4, Stats{NoPayload: 1}},
		{"too short", Config{Payload: &Payload{Offset: offset(9), Write: "xx"}, TTL: 3}, udp4, Stats{NoPayload: 1}},
		{"no payload", Config{Payload: &Payload{Offset: offset(65535), Write: "x"}}, tcp4, Stats{NoPayload: 1}},
		{"no transport", Config{Payload: &Payload{Offset: offset(0), Write: "x"}}, tcp4.with(func(s *spec) { s.proto = 89 }), Stats{NoPayload: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			callout := mustNew(t, c.config)
			before := c.packet.build(t)
			if out := rewriteAll(t, callout, before); len(out) != 1 || !bytes.Equal(out[0], before) {
				t.Errorf("got  %x\nwant %x", out, before)
			}
			if got := callout.Stats(); got != c.want {
				t.Errorf("stats %+v, want %+v", got, c.want)
			}
		})
	}
}

// A packet that was corrupt comes out corrupt: its checksums are wrong by what they were wrong by.
func TestCorruptionIsNotLaundered(t *testing.T) {
	before := tcp4.build(t)
	before[30] ^= 0x40 // in the TCP header, behind the back of its checksum
	before[5] ^= 0x01  // in the IP header
	callout := mustNew(t, Config{DstAddr: addr("192.0.2.9"), DstPort: 81, TTL: 9, Payload: &Payload{Find: "weir", Replace: "WEIR"}})
	out := rewriteAll(t, callout, before)
	want := tcp4.with(func(s *spec) { s.dst, s.dstPort, s.ttl, s.payload = "192.0.2.9", 81, 9, "hello WEIR, hello" }).build(t)
	want[30] ^= 0x40
	want[5] ^= 0x01
	if len(out) != 1 || !bytes.Equal(out[0], want) {
		t.Errorf("got  %x\nwant %x", out, want)
	}
}

// Fragments get new addresses, all of them, so that the datagram's checksum is right once they are put together; no new ports.
func TestFragments(t *testing.T) {
	whole := udp4.with(func(s *spec) { s.payload = strings.Repeat("hello weir ", 30) })
	want := whole.with(func(s *spec) { s.src = "192.0.2.9" }).build(t)
	fragments := split(whole.build(t), 128)
	callout := mustNew(t, Config{SrcAddr: addr("192.0.2.9")})
	out := rewriteAll(t, callout, fragments...)
	var payload []byte
	for i, f := range out {
		if !bytes.Equal(f[12:20], want[12:20]) || sum(f[:20]) != 0xffff {
			t.Errorf("fragment %d: header %x", i, f[:20])
		}
		payload = append(payload, f[20:]...)
	}
	if !bytes.Equal(payload, want[20:]) {
		t.Errorf("put together\ngot  %x\nwant %x", payload, want[20:])
	}

	ports := mustNew(t, Config{DstPort: 9, SrcAddr: addr("192.0.2.9")})
	text := mustNew(t, Config{Payload: &Payload{Find: "weir", Replace: "WEIR"}})
	for _, c := range []*Callout{ports, text} {
		for i, f := range rewriteAll(t, c, fragments...) {
			if !bytes.Equal(f, fragments[i]) {
				t.Errorf("fragment %d was changed: %x", i, f)
			}
		}
	}
	n := uint64(len(fragments))
	if p, x := ports.Stats(), text.Stats(); p != (Stats{NoPorts: n}) || x != (Stats{NoPayload: n}) {
		t.Errorf("stats %+v, %+v, want %d each", p, x, n)
	}
}

// split cuts an IPv4 packet without options into fragments of size bytes of payload.
func split(packet []byte, size int) (fragments [][]byte) {
	for off := 20; off < len(packet); off += size {
		end := min(off+size, len(packet))
		f := append(slices.Clone(packet[:20]), packet[off:end]...)
		binary.BigEndian.PutUint16(f[2:], uint16(len(f)))
		word := uint16((off - 20) / 8)
		if end < len(packet) {
			word |= 0x2000
		}
		binary.BigEndian.PutUint16(f[6:], word)
		f[10], f[11] = 0, 0
		binary.BigEndian.PutUint16(f[10:], ^sum(f[:20]))
		fragments = append(fragments, f)
	}
	return fragments
}

// sum is the Internet checksum's sum, word by word.
func sum(b []byte) uint16 {
	var s uint32
	for i := 0; i < len(b); i += 2 {
		s += uint32(binary.BigEndian.Uint16(b[i:]))
		s = s&0xffff + s>>16
	}
	return uint16(s)
}

// Below a sublayer that permitted for good it has no right to change the packet; above it has.
func TestRights(t *testing.T) {
	filters := func(c *Callout, sublayer string) []processor.Filter {
		return []processor.Filter{
			{Name: "final", Layer: processor.OutboundTransport, Sublayer: "middle", Action: processor.ActionPermit, Hard: true},
			{Name: "rewrite", Layer: processor.OutboundTransport, Sublayer: sublayer, Action: processor.ActionCalloutUnknown, Callout: c},
		}
	}
	sublayers := []processor.Sublayer{{Name: "high", Weight: 9}, {Name: "middle", Weight: 5}, {Name: "low", Weight: 1}}
	before := udp4.build(t)
	for sublayer, want := range map[string]Stats{"high": {Rewritten: 1}, "low": {NoRights: 1}} {
		c := mustNew(t, Config{TTL: 3})
		out := run(t, sublayers, filters(c, sublayer), before)
		if len(out) != 1 || bytes.Equal(out[0], before) != (want.NoRights == 1) || c.Stats() != want {
			t.Errorf("%s: %+v, %x", sublayer, c.Stats(), out)
		}
	}
}

// With verdict permit the sublayer is done with a packet that was changed; by default the next filter is asked, and sees the change.
func TestVerdict(t *testing.T) {
	for verdict, passes := range map[string]int{"": 0, "continue": 0, "permit": 1} {
		c := mustNew(t, Config{TTL: 3, Verdict: verdict})
		out := run(t, nil, []processor.Filter{
			{Name: "rewrite", Layer: processor.OutboundTransport, Weight: 2, Action: processor.ActionCalloutUnknown, Callout: c},
			{Name: "block", Layer: processor.OutboundTransport, Weight: 1, Action: processor.ActionBlock},
		}, udp4.build(t))
		if len(out) != passes {
			t.Errorf("%q: %d packets pass, want %d", verdict, len(out), passes)
		}
	}
}

func TestConfigThatDoesNotGoTogether(t *testing.T) {
	for name, c := range map[string]Config{
		"nothing to rewrite":      {Verdict: "permit"},
		"two families":            {SrcAddr: addr("10.0.0.1"), DstAddr: addr("fd00::1")},
		"zone":                    {SrcAddr: addr("fe80::1%eth0")},
		"same length":             {Payload: &Payload{Find: "a", Replace: "bc"}},
		"not both":                {Payload: &Payload{Find: "a", Replace: "b", Write: "c"}},
		"give find and replace":   {Payload: &Payload{}},
		"or offset and write":     {Payload: &Payload{Offset: offset(1)}},
		"belong to find":          {Payload: &Payload{Offset: offset(1), Write: "a", All: true}},
		"pairs of hex digits":     {Payload: &Payload{Offset: offset(1), Write: "abc", Encoding: "hex"}},
		"find, replace and write": {Payload: &Payload{Find: "zz", Replace: "00", Encoding: "hex"}},
	} {
		if _, err := New("x", c); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	broken := errors.New("broken")
	if c, err := Factory("x", func(any) error { return broken }); c != nil || err != broken {
		t.Errorf("%v, %v", c, err)
	}
	if c, err := Factory("x", func(any) error { return nil }); c != nil || err == nil {
		t.Errorf("%v, %v", c, err)
	}
}

func TestCounters(t *testing.T) {
	c := mustNew(t, Config{DstPort: 9})
	rewriteAll(t, c, udp4.build(t), icmp4.build(t))
	got := map[string]uint64{}
	for name, n := range c.Counters {
		got[name] = n
	}
	if got["rewritten"] != 1 || got["no_ports"] != 1 || len(got) != int(outcomes) {
		t.Errorf("counters %v", got)
	}
	for range c.Counters {
		break // a reader may stop
	}
}

func TestClassifyDoesNotAllocate(t *testing.T) {
	c := mustNew(t, Config{SrcAddr: addr("192.0.2.9"), DstPort: 9, TTL: 5, Payload: &Payload{Find: "weir", Replace: "weir", All: true}})
	cl := &processor.Classification{
		Layer: processor.OutboundTransport, Rights: processor.RightActionWrite,
		Packet: divertdrv.NewPacket(divertdrv.Address{}, udp4.build(t)),
	}
	if n := testing.AllocsPerRun(1000, func() { c.Classify(cl) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if s := c.Stats(); s.Rewritten < 1000 {
		t.Errorf("stats %+v", s)
	}
}

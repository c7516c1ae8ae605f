package reject

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"go.uber.org/goleak"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/processor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const mss = 10 // bytes of payload of a segment that has some

// segment is a packet as gopacket builds and reads it, and where it goes.
type segment struct {
	src, dst         string
	srcPort, dstPort uint16
	seq, ack         uint32
	flags            string // of "SAFRP"
	payload          int
}

func (s segment) build(t testing.TB) []byte {
	t.Helper()
	tcp := &layers.TCP{SrcPort: layers.TCPPort(s.srcPort), DstPort: layers.TCPPort(s.dstPort), Seq: s.seq, Ack: s.ack, Window: 1000}
	for _, f := range s.flags {
		*map[rune]*bool{'S': &tcp.SYN, 'A': &tcp.ACK, 'F': &tcp.FIN, 'R': &tcp.RST, 'P': &tcp.PSH}[f] = true
	}
	if tcp.SYN {
		tcp.Options = []layers.TCPOption{{OptionType: layers.TCPOptionKindMSS, OptionLength: 4, OptionData: []byte{5, 180}}}
	}
	return s.serialize(t, layers.IPProtocolTCP, tcp, gopacket.Payload(make([]byte, s.payload)))
}

func (s segment) serialize(t testing.TB, proto layers.IPProtocol, rest ...gopacket.SerializableLayer) []byte {
	t.Helper()
	var ip gopacket.SerializableLayer
	var network gopacket.NetworkLayer
	if netip.MustParseAddr(s.src).Is4() {
		h := &layers.IPv4{Version: 4, IHL: 5, TTL: 64, Protocol: proto, SrcIP: net.ParseIP(s.src), DstIP: net.ParseIP(s.dst)}
		ip, network = h, h
	} else {
		h := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: proto, SrcIP: net.ParseIP(s.src), DstIP: net.ParseIP(s.dst)}
		ip, network = h, h
	}
	if l, ok := rest[0].(interface {
		SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
	}); ok {
		if err := l.SetNetworkLayerForChecksum(network); err != nil {
			t.Fatal(err)
		}
	}
	buf := gopacket.NewSerializeBuffer()
	o := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(buf, o, append([]gopacket.SerializableLayer{ip}, rest...)...); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// read decodes a RST and checks that its checksum is right.
func read(t testing.TB, b []byte) (s segment) {
	t.Helper()
	first := layers.LayerTypeIPv4
	if b[0]>>4 == 6 {
		first = layers.LayerTypeIPv6
	}
	p := gopacket.NewPacket(b, first, gopacket.Default)
	tcp, ok := p.Layer(layers.LayerTypeTCP).(*layers.TCP)
	if !ok || p.ErrorLayer() != nil {
		t.Fatalf("not TCP: %x", b)
	}
	src, dst := p.NetworkLayer().NetworkFlow().Endpoints()
	s = segment{
		src: src.String(), dst: dst.String(), srcPort: uint16(tcp.SrcPort), dstPort: uint16(tcp.DstPort),
		seq: tcp.Seq, ack: tcp.Ack, payload: len(tcp.Payload),
	}
	for _, f := range []struct {
		set  bool
		name string
	}{{tcp.RST, "R"}, {tcp.ACK, "A"}, {tcp.SYN, "S"}, {tcp.FIN, "F"}, {tcp.PSH, "P"}} {
		if f.set {
			s.flags += f.name
		}
	}
	if err := tcp.SetNetworkLayerForChecksum(p.NetworkLayer()); err != nil {
		t.Fatal(err)
	}
	// Over all with the checksum in place, so that 0 says it is right.
	if rest, err := tcp.ComputeChecksum(); err != nil || rest != 0 {
		t.Errorf("TCP checksum %#04x is wrong (%v)", tcp.Checksum, err)
	}
	return s
}

// place is a simulated host with a processor that rejects.
type place struct {
	t          testing.TB
	sim        *simdrv.Stack
	h          *divertdrv.Handle
	p          *processor.Processor
	wire, host [][]byte // what reached them
	addrs      []divertdrv.Address
}

func newPlace(t testing.TB, layer divertdrv.Layer, jobs int, sublayers []processor.Sublayer, filters ...processor.Filter) *place {
	t.Helper()
	x := &place{t: t}
	keep := func(to *[][]byte) func(*divertdrv.Address, []byte) {
		return func(a *divertdrv.Address, b []byte) {
			*to = append(*to, slices.Clone(b))
			x.addrs = append(x.addrs, *a)
		}
	}
	x.sim = simdrv.New(simdrv.Config{IfIdx: 7, HeaderAlign: 8, OnWire: keep(&x.wire), OnHost: keep(&x.host)})
	t.Cleanup(x.sim.Close)
	var err error
	if x.h, err = divertdrv.Open("true", layer, &divertdrv.Options{Driver: x.sim}); err != nil {
		t.Fatal(err)
	}
	pol, err := processor.NewPolicy(sublayers, filters)
	if err != nil {
		t.Fatal(err)
	}
	if x.p, err = processor.New(processor.Config{Handles: []*divertdrv.Handle{x.h}, Policy: pol, Jobs: jobs, Settle: true}); err != nil {
		t.Fatal(err)
	}
	return x
}

// finish runs to the end, checks the law, and returns what the handle counted.
func (x *place) finish() divertdrv.Stats {
	x.t.Helper()
	x.sim.End()
	if err := x.p.Run(context.Background()); err != nil {
		x.t.Fatal(err)
	}
	if err := x.h.Close(); err != nil {
		x.t.Error(err)
	}
	s := x.h.Stats()
	if err := s.Conserved(); err != nil || s.InBatch != 0 || s.Held != 0 {
		x.t.Errorf("stats %+v, %v", s, err)
	}
	return s
}

func (x *place) must(err error) {
	x.t.Helper()
	if err != nil {
		x.t.Fatal(err)
	}
}

func rejects(layer processor.Layer, c *Callout) processor.Filter {
	return processor.Filter{Name: "reject", Layer: layer, Action: processor.ActionCalloutTerminating, Callout: c}
}

// The numbers of the RST, by RFC 9293 3.10.7.1: "If the ACK bit is off, sequence number zero is used, <SEQ=0><ACK=SEG.SEQ+SEG.LEN>
// <CTL=RST,ACK>; if the ACK bit is on, <SEQ=SEG.ACK><CTL=RST>". SYN and FIN count one each in SEG.LEN.
func TestNumbersOfTheReset(t *testing.T) {
	const seq, ack = 0xffff_fffe, 5_000 // so that SEQ+LEN wraps
	for _, c := range []struct {
		name           string
		flags          string
		payload        int
		sender         segment // only numbers and flags
		receiver       segment
		answersNothing bool
	}{
		{name: "SYN", flags: "S", sender: segment{seq: 0, ack: 0xffff_ffff, flags: "RA"}, receiver: segment{seq: seq, flags: "R"}},
		{name: "SYN with data", flags: "S", payload: mss, sender: segment{seq: 0, ack: 9, flags: "RA"}, receiver: segment{seq: seq, flags: "R"}},
		{name: "SYN-ACK", flags: "SA", sender: segment{seq: ack, flags: "R"}, receiver: segment{seq: seq, ack: ack, flags: "RA"}},
		{name: "ACK", flags: "A", sender: segment{seq: ack, flags: "R"}, receiver: segment{seq: seq, ack: ack, flags: "RA"}},
		{name: "data", flags: "PA", payload: mss, sender: segment{seq: ack, flags: "R"}, receiver: segment{seq: seq, ack: ack, flags: "RA"}},
		{name: "FIN-ACK", flags: "FA", sender: segment{seq: ack, flags: "R"}, receiver: segment{seq: seq, ack: ack, flags: "RA"}},
		{name: "FIN", flags: "F", payload: mss, sender: segment{seq: 0, ack: 9, flags: "RA"}, receiver: segment{seq: seq, flags: "R"}},
		{name: "RST", flags: "R", answersNothing: true},
		{name: "RST-ACK", flags: "RA", answersNothing: true},
	} {
		for family, ends := range map[string][2]string{"IPv4": {"10.0.0.1", "10.0.0.2"}, "IPv6": {"fd00::1", "fd00::2"}} {
			t.Run(c.name+" "+family, func(t *testing.T) {
				callout := New("x", Config{To: "both"})
				x := newPlace(t, divertdrv.Network, 0, nil, rejects(processor.OutboundTransport, callout))
				in := segment{ends[0], ends[1], 4000, 80, seq, ack, c.flags, c.payload}
				x.must(x.sim.Send(in.build(t)))
				s := x.finish()
				if s.Dropped[reason.Rejected] != 1 || s.Passed != 0 {
					t.Errorf("stats %+v", s)
				}
				if c.answersNothing {
					if len(x.host)+len(x.wire) != 0 || s.Injected != 0 || callout.Stats() != (Stats{Unanswerable: 1}) {
						t.Errorf("%d packets, %+v", len(x.host)+len(x.wire), callout.Stats())
					}
					return
				}
				if len(x.host) != 1 || len(x.wire) != 1 || s.Injected != 2 || s.Completed != 2 || callout.Stats() != (Stats{Answered: 2}) {
					t.Fatalf("to host %d, to wire %d, %+v, %+v", len(x.host), len(x.wire), s, callout.Stats())
				}
				back := segment{ends[1], ends[0], 80, 4000, c.sender.seq, c.sender.ack, c.sender.flags, 0}
				if got := read(t, x.host[0]); got != back {
					t.Errorf("to sender %+v, want %+v", got, back)
				}
				on := segment{ends[0], ends[1], 4000, 80, c.receiver.seq, c.receiver.ack, c.receiver.flags, 0}
				if got := read(t, x.wire[0]); got != on {
					t.Errorf("to receiver %+v, want %+v", got, on)
				}
			})
		}
	}
}

// A RST goes in where its receiver is: up into this host, down out of it, with the interface of the packet.
func TestPathOfTheReset(t *testing.T) {
	out := segment{"10.0.0.1", "10.0.0.2", 4000, 80, 1, 2, "A", 0}
	in := segment{"10.0.0.2", "10.0.0.1", 80, 4000, 1, 2, "A", 0}
	type counts struct{ host, wire int }
	for _, c := range []struct {
		name  string
		to    string
		layer processor.Layer
		send  func(x *place) error
		want  counts
	}{
		{"outbound, sender", "", processor.OutboundTransport, func(x *place) error { return x.sim.Send(out.build(t)) }, counts{host: 1}},
		{"outbound, receiver", "receiver", processor.OutboundTransport, func(x *place) error { return x.sim.Send(out.build(t)) }, counts{wire: 1}},
		{"outbound packet layer", "sender", processor.OutboundIPPacket, func(x *place) error { return x.sim.Send(out.build(t)) }, counts{host: 1}},
		{"inbound, sender", "sender", processor.InboundTransport, func(x *place) error { return x.sim.Receive(in.build(t)) }, counts{wire: 1}},
		{"inbound, receiver", "receiver", processor.InboundTransport, func(x *place) error { return x.sim.Receive(in.build(t)) }, counts{host: 1}},
		{"inbound, both", "both", processor.InboundIPPacket, func(x *place) error { return x.sim.Receive(in.build(t)) }, counts{1, 1}},
		{"loopback, both", "both", processor.OutboundTransport, func(x *place) error { return x.sim.Loop(out.build(t)) }, counts{host: 2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := newPlace(t, divertdrv.Network, 0, nil, rejects(c.layer, New("x", Config{To: c.to})))
			x.must(c.send(x))
			x.finish()
			if got := (counts{len(x.host), len(x.wire)}); got != c.want {
				t.Errorf("got %+v, want %+v", got, c.want)
			}
			for i := range x.addrs {
				if x.addrs[i].IfIdx() != 7 {
					t.Errorf("interface %d, want 7", x.addrs[i].IfIdx())
				}
			}
		})
	}
	t.Run("forwarded", func(t *testing.T) {
		c := New("x", Config{To: "both"})
		x := newPlace(t, divertdrv.NetworkForward, 0, nil, rejects(processor.IPForward, c))
		x.must(x.sim.Forward(out.build(t)))
		x.finish()
		if len(x.wire) != 2 || c.Stats().Answered != 2 {
			t.Errorf("%d packets, %+v", len(x.wire), c.Stats())
		}
	})
}

func TestBlocksWithoutAnswerWhatNoResetAnswers(t *testing.T) {
	c := New("x", Config{ICMP: "none"})
	x := newPlace(t, divertdrv.Network, 0, nil, rejects(processor.OutboundIPPacket, c))
	ends := segment{src: "10.0.0.1", dst: "10.0.0.2"}
	udp := ends.serialize(t, layers.IPProtocolUDP, &layers.UDP{SrcPort: 1, DstPort: 2})
	fragment := segment{"10.0.0.1", "10.0.0.2", 1, 2, 3, 4, "A", 8}.build(t)
	fragment[6] = 0x20
	x.must(errors.Join(x.sim.Send(udp), x.sim.Send(fragment)))
	s := x.finish()
	if s.Dropped[reason.Rejected] != 2 || s.Injected != 0 || c.Stats() != (Stats{Unanswerable: 2}) {
		t.Errorf("%+v, %+v", s, c.Stats())
	}
}

// Below a hard permit its block is a veto, and it does not speak for the packet.
func TestVetoDoesNotAnswer(t *testing.T) {
	c := New("x", Config{})
	reject := rejects(processor.OutboundTransport, c)
	reject.Sublayer = "low"
	x := newPlace(t, divertdrv.Network, 0, []processor.Sublayer{{Name: "high", Weight: 9}, {Name: "low", Weight: 1}}, reject,
		processor.Filter{Name: "final", Layer: processor.OutboundTransport, Sublayer: "high", Action: processor.ActionPermit, Hard: true})
	x.must(x.sim.Send(segment{"10.0.0.1", "10.0.0.2", 4000, 80, 1, 0, "S", 0}.build(t)))
	s := x.finish()
	if s.Dropped[reason.Rejected] != 1 || s.Injected != 0 || c.Stats() != (Stats{NoRights: 1}) {
		t.Errorf("%+v, %+v", s, c.Stats())
	}
	if f := x.p.Stats().Filters[0]; f.Vetoes != 1 {
		t.Errorf("filter %+v", f)
	}
}

// Room for deferred answers is bounded: what finds none is blocked all the same, and counted.
func TestWithoutRoomToDefer(t *testing.T) {
	c := New("x", Config{})
	x := newPlace(t, divertdrv.Network, 1, nil, rejects(processor.OutboundTransport, c))
	const packets = 50 // one batch
	for i := range packets {
		x.must(x.sim.Send(segment{"10.0.0.1", "10.0.0.2", 4000 + uint16(i), 80, 1, 0, "S", 0}.build(t)))
	}
	s := x.finish()
	got := c.Stats()
	if s.Dropped[reason.Rejected] != packets || got.Answered+got.Refused != packets || got.Refused == 0 || got.Answered == 0 {
		t.Errorf("%+v, %+v", s, got)
	}
	if uint64(len(x.host)) != got.Answered || x.p.Stats().DeferRefused != got.Refused {
		t.Errorf("%d answers, %+v", len(x.host), got)
	}
}

// What the driver refuses is counted.
func TestInjectionThatFails(t *testing.T) {
	c := New("x", Config{})
	x := newPlace(t, divertdrv.Network, 0, nil, rejects(processor.OutboundTransport, c))
	x.must(x.sim.Send(segment{"10.0.0.1", "10.0.0.2", 4000, 80, 1, 0, "S", 0}.build(t)))
	x.must(x.h.Shutdown(divertdrv.ShutdownSend))
	s := x.finish()
	if c.Stats() != (Stats{Failed: 1}) || s.Failed != 1 || len(x.host) != 0 {
		t.Errorf("%+v, %+v", s, c.Stats())
	}
}

func TestFactoryAndCounters(t *testing.T) {
	c, err := Factory("x", func(any) error { return nil })
	if err != nil || c.Name() != "x" {
		t.Fatal(c, err)
	}
	broken := errors.New("broken")
	if c, err := Factory("x", func(any) error { return broken }); c != nil || err != broken {
		t.Errorf("%v, %v", c, err)
	}
	own := c.(*Callout)
	own.answered.Add(3)
	got := map[string]uint64{}
	for name, n := range own.Counters {
		got[name] = n
	}
	if got["answered"] != 3 || len(got) != 7 {
		t.Errorf("counters %v", got)
	}
	for range own.Counters {
		break // a reader may stop
	}
}

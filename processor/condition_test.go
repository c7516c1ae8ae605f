package processor

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/processor/internal/naive"
)

func address(s string) netip.Addr { return netip.MustParseAddr(s) }

// What conditions are in the filter language. The direction of a layer says which end is local.
func TestConditionText(t *testing.T) {
	port := Condition{IPRemotePort, MatchEqual, uint16(443)}
	for _, c := range []struct {
		layer Layer
		in    []Condition
		want  string
	}{
		{OutboundTransport, []Condition{port}, "(tcp.DstPort == 443 or udp.DstPort == 443)"},
		{InboundTransport, []Condition{port}, "(tcp.SrcPort == 443 or udp.SrcPort == 443)"},
		{DatagramData, []Condition{{IPLocalAddress, MatchEqual, address("10.0.0.1")}}, "((outbound and ip.SrcAddr == 10.0.0.1) or (inbound and ip.DstAddr == 10.0.0.1))"},
		{InboundIPPacket.Discard(), []Condition{{IPLocalAddress, MatchEqual, address("fd00::1")}}, "((outbound and ipv6.SrcAddr == fd00::1) or (inbound and ipv6.DstAddr == fd00::1))"},
		{
			OutboundTransport,
			[]Condition{{IPProtocol, MatchEqual, uint8(6)}, port, {IPRemotePort, MatchRange, Range{uint16(8000), uint16(8100)}}, {IPRemoteAddress, MatchNotEqual, netip.MustParsePrefix("10.0.0.0/8")}},
			"(protocol == 6) and (tcp.DstPort == 443 or udp.DstPort == 443 or (tcp.DstPort >= 8000 and tcp.DstPort <= 8100) or (udp.DstPort >= 8000 and udp.DstPort <= 8100)) and ((ip.DstAddr < 10.0.0.0 or ip.DstAddr > 10.255.255.255))",
		},
		{OutboundTransport, []Condition{{IPRemoteAddress, MatchEqual, AddrMask{address("10.1.2.3"), address("255.255.0.0")}}}, "((ip.DstAddr >= 10.1.0.0 and ip.DstAddr <= 10.1.255.255))"},
		{OutboundTransport, []Condition{{TCPFlags, MatchFlagsAllSet, uint8(0x12)}}, "((tcp.Syn and tcp.Ack))"},
		{OutboundTransport, []Condition{{TCPFlags, MatchFlagsNoneSet, uint8(0x12)}}, "((tcp and not tcp.Syn and not tcp.Ack))"},
		{OutboundIPPacket, []Condition{{Flags, MatchFlagsAnySet, FlagIsLoopback | FlagIsFragment}}, "(fragment or loopback)"},
		{IPForward, []Condition{{IPSourceAddress, MatchGreater, address("10.0.0.1")}, {InterfaceIndex, MatchEqual, uint32(3)}}, "(ip.SrcAddr > 10.0.0.1) and (ifIdx == 3)"},
	} {
		got, err := ConditionText(c.layer, c.in)
		if err != nil || got != c.want {
			t.Errorf("%v: %v, %v\nwant %s", c.in, got, err, c.want)
		}
		if p, err := CompileConditions(c.layer, c.in); err != nil || p.Layer() != c.layer.DriverLayer() {
			t.Errorf("%s: %v", got, err)
		}
	}
	if p, err := CompileConditions(OutboundTransport, nil); p != nil || err != nil {
		t.Errorf("no conditions: %v, %v", p, err)
	}
}

// Each error has WFP's name and number.
func TestWrongConditions(t *testing.T) {
	a := address("10.0.0.1")
	for _, c := range []struct {
		layer Layer
		Condition
		want   Code
		number uint32
	}{
		{OutboundIPPacket, Condition{IPRemotePort, MatchEqual, uint16(1)}, ErrConditionNotFound, 0x80320002},
		{IPForward, Condition{IPLocalAddress, MatchEqual, a}, ErrConditionNotFound, 0x80320002},
		{OutboundTransport, Condition{IPSourceAddress, MatchEqual, a}, ErrConditionNotFound, 0x80320002},
		{OutboundTransport, Condition{FieldDirection, MatchEqual, FWPInbound}, ErrConditionNotFound, 0x80320002},
		{OutboundTransport, Condition{0, MatchEqual, a}, ErrConditionNotFound, 0x80320002},
		{OutboundTransport, Condition{99, MatchEqual, a}, ErrConditionNotFound, 0x80320002},
		{ALEAuthConnect, Condition{Flags, MatchFlagsAllSet, FlagIsReauthorize}, ErrConditionNotFound, 0x80320002},
		{IPForward, Condition{Flags, MatchFlagsAllSet, FlagIsLoopback}, ErrConditionNotFound, 0x80320002},
		{OutboundTransport, Condition{IPRemotePort, MatchEqual, uint32(443)}, ErrTypeMismatch, 0x80320027},
		{OutboundTransport, Condition{IPRemotePort, MatchEqual, 443}, ErrTypeMismatch, 0x80320027},
		{OutboundTransport, Condition{IPRemoteAddress, MatchEqual, "10.0.0.1"}, ErrTypeMismatch, 0x80320027},
		{OutboundTransport, Condition{IPRemoteAddress, MatchEqual, netip.Addr{}}, ErrTypeMismatch, 0x80320027},
		{OutboundTransport, Condition{IPProtocol, MatchEqual, netip.MustParsePrefix("10.0.0.0/8")}, ErrTypeMismatch, 0x80320027},
		{OutboundTransport, Condition{IPRemotePort, MatchRange, uint16(1)}, ErrTypeMismatch, 0x80320027},
		{OutboundTransport, Condition{TCPFlags, MatchFlagsAllSet, uint32(2)}, ErrTypeMismatch, 0x80320027},
		{OutboundTransport, Condition{Flags, MatchFlagsAllSet, uint8(1)}, ErrTypeMismatch, 0x80320027},
		{OutboundTransport, Condition{Flags, MatchFlagsAllSet, nil}, ErrTypeMismatch, 0x80320027},
		{OutboundTransport, Condition{IPRemotePort, MatchPrefix, uint16(1)}, ErrMatchTypeMismatch, 0x80320026},
		{OutboundTransport, Condition{IPRemotePort, MatchNotPrefix, uint16(1)}, ErrMatchTypeMismatch, 0x80320026},
		{OutboundTransport, Condition{IPRemotePort, MatchEqualCaseInsensitive, uint16(1)}, ErrMatchTypeMismatch, 0x80320026},
		{OutboundTransport, Condition{IPRemotePort, MatchFlagsAnySet, uint16(1)}, ErrMatchTypeMismatch, 0x80320026},
		{OutboundTransport, Condition{Flags, MatchEqual, FlagIsFragment}, ErrMatchTypeMismatch, 0x80320026},
		{OutboundTransport, Condition{IPRemoteAddress, MatchLess, netip.MustParsePrefix("10.0.0.0/8")}, ErrMatchTypeMismatch, 0x80320026},
		{OutboundTransport, Condition{IPRemotePort, MatchEqual, Range{uint16(1), uint16(2)}}, ErrMatchTypeMismatch, 0x80320026},
		{OutboundTransport, Condition{IPRemotePort, 13, uint16(1)}, ErrMatchTypeMismatch, 0x80320026},
		{OutboundTransport, Condition{IPRemotePort, MatchRange, Range{uint16(2), uint16(1)}}, ErrInvalidRange, 0x80320020},
		{OutboundTransport, Condition{IPRemoteAddress, MatchRange, Range{a, address("fd00::1")}}, ErrInvalidRange, 0x80320020},
		{OutboundTransport, Condition{IPRemoteAddress, MatchEqual, AddrMask{a, address("255.0.255.0")}}, ErrInvalidMask, 0x8032001F},
		{OutboundTransport, Condition{IPRemoteAddress, MatchEqual, AddrMask{address("fd00::1"), a}}, ErrInvalidMask, 0x8032001F},
		{OutboundTransport, Condition{IPRemoteAddress, MatchEqual, netip.Prefix{}}, ErrInvalidMask, 0x8032001F},
	} {
		_, err := CompileConditions(c.layer, []Condition{c.Condition})
		var wrong *Error
		if !errors.Is(err, c.want) || uint32(c.want) != c.number || !errors.As(err, &wrong) || wrong.Msg == "" {
			t.Errorf("%v at %v: %v, want %v", c.Condition, c.layer, err, c.want)
		}
	}
}

// Random conditions and packets: the compiled program is what a naive evaluator over the packet's bytes says.
func TestConditionsAreThoseOfTheReference(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 6))
	w := &world{t: t, rng: rng}
	for range 12 {
		w.ends = append(w.ends, w.twoEnds())
	}
	met := 0
	for range 3000 {
		layer := pick(rng, OutboundTransport, InboundTransport, DatagramData, ALEAuthConnect, OutboundTransport.Discard())
		var conditions []Condition
		var reference []naive.WFP
		for range 1 + rng.IntN(4) {
			c, r := randomWFP(rng)
			if c.Field == FieldDirection && layer.Direction() != Both {
				continue
			}
			conditions, reference = append(conditions, c), append(reference, r)
		}
		p, err := CompileConditions(layer, conditions)
		if err != nil {
			t.Fatal(conditions, err)
		}
		for range 10 {
			data, outbound := w.bytes()
			if d := layer.Direction(); d != Both && !layer.IsDiscard() {
				outbound = d == Outbound
			}
			var a divertdrv.Address
			a.SetLayer(divertdrv.Network, addr.EventPacket)
			a.SetOutbound(outbound)
			want := naive.WFPHolds(reference, &naive.Packet{Data: data, Outbound: outbound})
			met += b2i(want)
			if got := p == nil || p.Match(&a, data, headersOf(data)); got != want && len(conditions) > 0 {
				t.Fatalf("%v at %v: %v, want %v\n%s\n% x, outbound %v", conditions, layer, got, want, p, data, outbound)
			}
		}
	}
	if met < 1000 {
		t.Errorf("only %d of 30,000 hold", met)
	}
}

func randomWFP(rng *rand.Rand) (Condition, naive.WFP) {
	c := Condition{Match: pick(rng, MatchEqual, MatchEqual, MatchEqual, MatchNotEqual, MatchGreater, MatchLess, MatchGreaterOrEqual, MatchLessOrEqual, MatchRange)}
	var low, high []byte
	number := func(draw func() uint32) {
		enc := func(v uint32) (any, []byte) {
			b := binary.BigEndian.AppendUint32(nil, v)
			switch c.Field.Bits() {
			case 8:
				return uint8(v), b[3:]
			case 16:
				return uint16(v), b[2:]
			}
			return v, b
		}
		v, u := draw(), draw()
		c.Value, low = enc(v)
		if high = low; c.Match == MatchRange {
			first, a := enc(min(u, v))
			last, b := enc(max(u, v))
			c.Value, low, high = Range{first, last}, a, b
		}
	}
	switch c.Field = pick(rng, IPLocalAddress, IPRemoteAddress, IPLocalPort, IPRemotePort, IPProtocol, ICMPType, ICMPCode, FieldDirection, Flags, TCPFlags); c.Field {
	case IPLocalAddress, IPRemoteAddress:
		a := address(pick(rng, fewAddrs...))
		c.Value, low, high = a, a.AsSlice(), a.AsSlice()
		switch {
		case c.Match == MatchRange:
			c.Match = MatchEqual
		case rng.IntN(2) == 0 && (c.Match == MatchEqual || c.Match == MatchNotEqual):
			bytes := 1 + rng.IntN(len(low)-1)
			p, _ := a.Prefix(8 * bytes)
			c.Value = p
			low, high = p.Addr().AsSlice(), p.Addr().AsSlice()
			for i := bytes; i < len(high); i++ {
				high[i] = 255
			}
		}
	case IPLocalPort, IPRemotePort:
		number(func() uint32 { return uint32(pick(rng, fewPorts...)) })
	case IPProtocol:
		number(func() uint32 { return pick[uint32](rng, 1, 6, 17, 58, 47) })
	case ICMPType:
		number(func() uint32 { return pick[uint32](rng, 0, 3, 8, 128, 300) })
	case ICMPCode:
		number(func() uint32 { return pick[uint32](rng, 0, 3, 4) })
	case FieldDirection:
		number(func() uint32 { return rng.Uint32N(2) })
	case TCPFlags:
		c.Match = pick(rng, MatchFlagsAllSet, MatchFlagsAnySet, MatchFlagsNoneSet)
		number(func() uint32 { return rng.Uint32N(64) })
	case Flags:
		c.Match = pick(rng, MatchFlagsAllSet, MatchFlagsAnySet, MatchFlagsNoneSet)
		number(func() uint32 { return pick(rng, 0, FlagIsFragment, FlagIsFragment, FlagIsFragment) })
	}
	return c, naive.WFP{Field: c.Field.String(), Match: c.Match.String(), Low: low, High: high}
}

func TestConditionNames(t *testing.T) {
	if len(MatchNames()) != 13 {
		t.Errorf("%d match types, want 13", len(MatchNames()))
	}
	for i, n := range MatchNames() {
		if m, err := ParseMatch(n); err != nil || int(m) != i || m.String() != n {
			t.Errorf("%s: %v, %v", n, m, err)
		}
	}
	for i, n := range FieldNames() {
		if f, err := ParseField(n); err != nil || int(f) != i+1 || f.String() != n {
			t.Errorf("%s: %v, %v", n, f, err)
		}
	}
	_, err := ParseMatch("like")
	_, wrong := ParseField("process")
	if err == nil || !errors.Is(wrong, ErrConditionNotFound) || fmt.Sprint(Code(1)) != "FWP_E_0x1" {
		t.Errorf("%v, %v", err, wrong)
	}
}

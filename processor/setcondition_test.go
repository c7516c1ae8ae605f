package processor

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/weirnet/weir/divertdrv/filter/set"
)

func setOf(t testing.TB, file string) *set.Set {
	t.Helper()
	entries, wrong := set.ParseFile("list", file)
	if len(wrong) > 0 {
		t.Fatal(wrong[0])
	}
	s, err := set.New(entries)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func onSets(t testing.TB, l Layer, all ...SetCondition) *SetConditions {
	t.Helper()
	s, err := NewSetConditions(l, all)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A filter with a set does what the same filter with a condition for each entry does, at every layer, by itself and in an index.
func TestSetsAreTheirEntries(t *testing.T) {
	addresses, ports := setOf(t, "10.0.0.0/30\n10.0.0.9\nfd00::/64\n"), setOf(t, "53\n80-90\n443\n")
	for l := Layer(0); int(l) < Layers; l++ {
		for _, f := range []Field{IPLocalAddress, IPRemoteAddress, IPSourceAddress, IPDestinationAddress, IPLocalPort, IPRemotePort} {
			s, values := addresses, []any{address("10.0.0.0"), address("10.0.0.1"), address("10.0.0.2"), address("10.0.0.3"), address("10.0.0.9")}
			in := []Condition{{f, MatchRange, Range{address("fd00::"), address("fd00::ffff:ffff:ffff:ffff")}}}
			if f == IPLocalPort || f == IPRemotePort {
				s, values, in = ports, []any{uint16(53), uint16(443)}, []Condition{{f, MatchRange, Range{uint16(80), uint16(90)}}}
			}
			if !f.at(l) {
				if _, err := NewSetConditions(l, []SetCondition{{Field: f, Set: s}}); !errors.Is(err, ErrConditionNotFound) {
					t.Errorf("%v at %v: %v", f, l, err)
				}
				continue
			}
			for _, v := range values {
				in = append(in, Condition{f, MatchEqual, v})
			}
			p, err := CompileConditions(l, in)
			if err != nil {
				t.Fatal(err)
			}
			on := onSets(t, l, SetCondition{Field: f, Name: "s", Set: s})
			d := rand.New(rand.NewPCG(uint64(l), uint64(f)))
			for range 2000 {
				packet := outboundPacket(somePacket(d.IntN))
				packet.Addr.SetOutbound(l.Direction() == Outbound || l.Direction() == Both && d.IntN(2) == 0)
				h := packet.Headers()
				if got, want := on.match(packet, h), p.Match(packet.Addr, packet.Data, h); got != want {
					t.Fatalf("%v at %v: %v, its entries say %v: %s", f, l, got, want, Describe(packet))
				}
			}
		}
	}
}

// Of conditions on one field next to each other one is enough; of others all must hold; not-in needs the field.
func TestSetConditionsJoin(t *testing.T) {
	a, b, p := setOf(t, "192.0.2.9"), setOf(t, "192.0.2.10"), setOf(t, "443")
	remote := func(s *set.Set, not bool) SetCondition {
		return SetCondition{Field: IPRemoteAddress, Name: "s", Set: s, Not: not}
	}
	port := func(not bool) SetCondition {
		return SetCondition{Field: IPRemotePort, Name: "p", Set: p, Not: not}
	}
	tcp, ping := outboundPacket(tcpOf(here, there, synFlag)), outboundPacket([]byte("?"))
	for _, c := range []struct {
		on   []SetCondition
		text string
		want bool
	}{
		{[]SetCondition{remote(b, false), remote(a, false), port(false)}, "(ip-remote-address in s or ip-remote-address in s) and ip-remote-port in p", true},
		{[]SetCondition{remote(b, false), port(false)}, "ip-remote-address in s and ip-remote-port in p", false},
		{[]SetCondition{remote(b, true), port(true)}, "ip-remote-address not-in s and ip-remote-port not-in p", false},
		{[]SetCondition{remote(b, true)}, "ip-remote-address not-in s", true},
		{[]SetCondition{remote(nil, false)}, "ip-remote-address in s", false},
	} {
		s := onSets(t, OutboundTransport, c.on...)
		if got := s.match(tcp, tcp.Headers()); got != c.want || s.String() != c.text || s.match(ping, ping.Headers()) {
			t.Errorf("%s: %v", s, got)
		}
	}
	for _, c := range []SetCondition{{Field: ICMPType, Set: p}, {Field: IPRemotePort, Set: a}, {Field: IPRemoteAddress, Set: p}} {
		if _, err := NewSetConditions(OutboundTransport, []SetCondition{c}); !errors.Is(err, ErrTypeMismatch) {
			t.Errorf("%v: %v", &c, err)
		}
	}
}

// A policy knows filters by what their sets hold, weighs them by it, and finds them in an index.
func TestFiltersWithSets(t *testing.T) {
	blocked := onSets(t, OutboundTransport, SetCondition{Field: IPRemoteAddress, Name: "blocked", Set: setOf(t, "192.0.2.0/24\n198.51.100.7")})
	wide := onSets(t, OutboundTransport, SetCondition{Field: IPRemoteAddress, Name: "wide", Set: setOf(t, "0.0.0.0/1")})
	f := Filter{Name: "b", Layer: OutboundTransport, Weighting: WeightAuto, Action: ActionBlock, Sets: blocked}
	g := Filter{Name: "w", Layer: OutboundTransport, Weighting: WeightAuto, Action: ActionPermit, Sets: wide}
	filters := []Filter{g, f}
	for _, name := range strings.Split("abcdefghijklmnop", "")[2:] {
		filters = append(filters, Filter{Name: name, Layer: OutboundTransport, When: when(t, "tcp.DstPort == 7"), Action: ActionBlock})
	}
	pol := policyOf(t, filters...)
	e := explainer(t, pol).Explain(outboundPacket(tcpOf(here, there, synFlag)))
	got := e.String()
	if e.Verdict != "drop" || !strings.Contains(got, "ip-remote-address in blocked: value 192.0.2.9, true, by its entry 192.0.2.0/24 (list:1)\n") {
		t.Error(got)
	}
	same := f
	same.Sets = onSets(t, OutboundTransport, SetCondition{Field: IPRemoteAddress, Name: "blocked", Set: setOf(t, "198.51.100.7\n192.0.2.128/25\n192.0.2.0/25")})
	other := f
	other.Sets = onSets(t, OutboundTransport, SetCondition{Field: IPRemoteAddress, Name: "blocked", Set: setOf(t, "198.51.100.7")})
	none := f
	none.Sets = nil
	if !f.same(&same) || f.same(&other) || f.same(&none) || none.same(&f) {
		t.Error("filters are the same if their sets hold the same")
	}
	if f.Conditions() != "ip-remote-address in blocked" || none.Conditions() != "" {
		t.Error(f.Conditions())
	}
	f.Layer = InboundTransport
	if _, err := NewPolicy(nil, []Filter{f}); err == nil || !strings.Contains(err.Error(), "made for layer outbound-transport") {
		t.Error(err)
	}
}

func TestSetsDoNotAllocate(t *testing.T) {
	s := onSets(t, OutboundTransport, SetCondition{Field: IPRemoteAddress, Set: setOf(t, "192.0.2.0/24")}, SetCondition{Field: IPRemotePort, Set: setOf(t, "443")})
	p := outboundPacket(tcpOf(here, there, synFlag))
	h := p.Headers()
	if n := testing.AllocsPerRun(1000, func() { s.match(p, h) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

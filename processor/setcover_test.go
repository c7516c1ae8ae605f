package processor

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/weirnet/weir/divertdrv/filter"
	"github.com/weirnet/weir/divertdrv/filter/set"
)

// What meets conditions on sets meets what covers them, and where all of them are small and positive, nothing else does.
func TestCover(t *testing.T) {
	addresses, ports := setOf(t, "10.0.0.0/30\n10.0.0.9\nfd00::/64\n"), setOf(t, "53\n80-90\n443\n")
	var many strings.Builder
	for i := range coverMax + 1 {
		fmt.Fprintf(&many, "10.0.0.%d\n", 2*i)
	}
	large := setOf(t, many.String())
	met := 0
	for l := Layer(0); int(l) < Layers; l++ {
		for _, f := range []Field{IPLocalAddress, IPRemoteAddress, IPSourceAddress, IPDestinationAddress, IPLocalPort, IPRemotePort} {
			small := addresses
			if f == IPLocalPort || f == IPRemotePort {
				small = ports
			}
			if !f.at(l) {
				continue
			}
			other := IPSourceAddress
			if f == other {
				other = IPDestinationAddress
			}
			for _, c := range []struct {
				on    []SetCondition
				exact bool
			}{
				{[]SetCondition{{Field: f, Set: small}}, true},
				{[]SetCondition{{Field: f, Set: nil}}, true},
				{[]SetCondition{{Field: f, Set: nil}, {Field: f, Set: small}, {Field: other, Set: addresses}}, true},
				{[]SetCondition{{Field: f, Set: small}, {Field: other, Set: large}}, false},
				{[]SetCondition{{Field: other, Set: large}, {Field: other, Set: addresses}, {Field: f, Set: small}}, false},
				{[]SetCondition{{Field: f, Set: small}, {Field: other, Set: addresses, Not: true}}, false},
			} {
				if !other.at(l) && len(c.on) > 1 {
					continue
				}
				met += covers(t, l, c.on, c.exact)
			}
		}
	}
	if met < 10_000 {
		t.Errorf("%d packets met what they were asked", met)
	}
}

func covers(t *testing.T, l Layer, all []SetCondition, exact bool) (met int) {
	t.Helper()
	on := onSets(t, l, all...)
	p, err := filter.Parse(on.Cover(), l.DriverLayer())
	if err != nil {
		t.Fatalf("%s: %v", on.Cover(), err)
	}
	d := rand.New(rand.NewPCG(uint64(l), uint64(all[0].Field)))
	for range 1000 {
		packet := outboundPacket(somePacket(d.IntN))
		packet.Addr.SetOutbound(l.Direction() == Outbound || l.Direction() == Both && d.IntN(2) == 0)
		h := packet.Headers()
		got, want := p.Match(packet.Addr, packet.Data, h), on.match(packet, h)
		if want && !got || exact && got != want {
			t.Fatalf("%v at %v: %v, covered by %s: %v; %s", on, l, want, on.Cover(), got, Describe(packet))
		}
		if want {
			met++
		}
	}
	return met
}

// Nothing is known of what is in none of a set, or in a large one.
func TestCoversNothing(t *testing.T) {
	var none *SetConditions
	entries := make([]set.Entry, 0, coverMax+1)
	for i := range coverMax + 1 {
		e, err := set.ParseEntry(fmt.Sprint(2 * i))
		if err != nil {
			t.Fatal(err)
		}
		entries = append(entries, e)
	}
	large, err := set.New(entries)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []*SetConditions{
		none,
		onSets(t, OutboundTransport, SetCondition{Field: IPRemotePort, Set: large}),
		onSets(t, OutboundTransport, SetCondition{Field: IPRemotePort, Set: setOf(t, "7"), Not: true}),
	} {
		if got := s.Cover(); got != "" {
			t.Errorf("%v is covered by %s", s, got)
		}
	}
}

package processor

import (
	"errors"
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func weightOf(t *testing.T, f Filter) uint64 {
	t.Helper()
	return policyOf(t, f).filters[0].Weight
}

// The types of FWPM_FILTER0.weight, and what they come to.
func TestWeights(t *testing.T) {
	f := Filter{Name: "f", Layer: OutboundTransport, When: when(t, "ip.DstAddr == 192.0.2.1 and tcp.DstPort == 443"), Action: ActionBlock}
	auto := f
	auto.Weighting = WeightAuto
	low := weightOf(t, auto)
	if low == 0 || low >= 1<<60 {
		t.Errorf("the automatic weight is %#x, want more than 0 and less than 2^60", low)
	}
	for class := range uint64(16) {
		f := f
		f.Weighting, f.Weight = WeightClass, class
		if got, want := weightOf(t, f), class<<60|low; got != want {
			t.Errorf("class %d: %#x, want %#x", class, got, want)
		}
	}
	for _, exact := range []uint64{0, 1, 1 << 60, math.MaxUint64} {
		f := f
		f.Weight = exact
		if got := weightOf(t, f); got != exact {
			t.Errorf("exact %#x: %#x", exact, got)
		}
	}
	for name, bad := range map[string]Filter{
		"a class above 15":        {Weighting: WeightClass, Weight: 16},
		"automatic with a weight": {Weighting: WeightAuto, Weight: 1},
		"an unknown type":         {Weighting: 3},
	} {
		bad.Name, bad.Layer, bad.Action = "f", OutboundTransport, ActionBlock
		if _, err := NewPolicy(nil, []Filter{bad}); !errors.Is(err, ErrInvalidWeight) || ErrInvalidWeight != 0x80320025 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// From the lightest to the heaviest, each strictly heavier than the one before.
func TestNarrowerIsHeavier(t *testing.T) {
	texts := []string{
		"", "outbound", "ip", "tcp", "tcp.DstPort >= 1024", "ip and tcp", "tcp.DstPort >= 8000 and tcp.DstPort <= 8099",
		"tcp.DstPort == 80 or tcp.DstPort == 443", "tcp.DstPort == 443", "ip and tcp.DstPort == 443",
		"ip.DstAddr >= 10.0.0.0 and ip.DstAddr <= 10.0.0.255 and tcp", "ip.DstAddr == 10.0.0.1",
		"ip.DstAddr == 10.0.0.1 and tcp.DstPort == 443", "ip.DstAddr == 10.0.0.1 and tcp.DstPort == 443 and tcp.SrcPort == 5",
	}
	var before uint64
	for i, text := range texts {
		f := Filter{Name: "f", Layer: OutboundTransport, Weighting: WeightAuto, Action: ActionBlock}
		if text != "" {
			f.When = when(t, text)
		}
		w := weightOf(t, f)
		if i > 0 && w <= before {
			t.Errorf("%q weighs %#x, not more than %q, which weighs %#x", text, w, texts[i-1], before)
		}
		before = w
	}
}

// One condition more never makes a filter lighter, and no filter is too heavy.
func TestMoreConditionsAreNotLighter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "d") }
		some := condition(d)
		more := "(" + some + ") and (" + condition(d) + ")"
		weigh := func(text string) uint64 {
			p, err := parseNetwork(text)
			if err != nil {
				t.Fatal(err)
			}
			b := p.Bounds()
			f := Filter{When: p}
			return f.autoWeight(&b)
		}
		a, b := weigh(some), weigh(more)
		if b < a && b>>5 < a>>5 || b >= 1<<60 {
			t.Fatalf("%s weighs %#x, %s weighs %#x", some, a, more, b)
		}
	})
}

// Equal weights keep the order given, so that what is asked first does not depend on chance.
func TestEqualWeightsKeepTheirOrder(t *testing.T) {
	var all []Filter
	for _, name := range []string{"a", "b", "c", "d"} {
		all = append(all, Filter{Name: name, Layer: OutboundTransport, When: when(t, "tcp.DstPort == 80"), Weighting: WeightAuto, Action: ActionPermit})
	}
	all = append(all, Filter{Name: "light", Layer: OutboundTransport, Weighting: WeightAuto, Action: ActionPermit})
	all[0], all[4] = all[4], all[0]
	var order []string
	for _, f := range policyOf(t, all...).layers[OutboundTransport][0].filters {
		order = append(order, f.Name)
	}
	if !slices.Equal(order, []string{"b", "c", "d", "a", "light"}) {
		t.Errorf("asked in the order %v", order)
	}
}

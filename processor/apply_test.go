package processor

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/divertdrv/simdrv"
)

// A swap changes the verdict between two batches, loses nothing, and keeps the counts of filters that stay.
func TestApplySwapsUnderLoad(t *testing.T) {
	const packets = 20_000
	block := Filter{Name: "f", Layer: OutboundTransport, Action: ActionBlock}
	permit := Filter{Name: "f", Layer: OutboundTransport, Action: ActionPermit}
	b := newBench(t, simdrv.NewTraffic(1, packets), nil, permit)
	var swaps atomic.Int64
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			f := permit
			if i%2 == 0 {
				f = block
			}
			pol, err := NewPolicy(nil, []Filter{f, {Name: "other", Layer: InboundTransport, Action: ActionPermit}})
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := b.p.Apply(pol); err != nil {
				t.Error(err)
			}
			swaps.Add(1)
		}
	})
	if err := b.p.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	close(stop)
	wg.Wait()
	s := b.finishClosed()
	if s.Received != packets || s.Passed+s.Dropped[reason.Filter] != packets {
		t.Errorf("after %d swaps: %+v", swaps.Load(), s)
	}
	if f := b.p.Stats().Filters[0]; f.Matched != f.Permitted+f.Blocked || f.Blocked != s.Dropped[reason.Filter] {
		t.Errorf("filter %+v, stats %+v", f, s)
	}
}

func TestApplyTellsWhatChanged(t *testing.T) {
	b := newBench(t, nil, nil, Filter{Name: "a", Layer: OutboundTransport, Action: ActionBlock}, Filter{Name: "b", Layer: OutboundTransport, Action: ActionBlock})
	pol, _ := NewPolicy(nil, []Filter{{Name: "b", Action: ActionPermit}, {Name: "c", Action: ActionPermit}})
	change, err := b.p.Apply(pol)
	if err != nil || !slices.Equal(change.Added, []string{"c"}) || !slices.Equal(change.Removed, []string{"a"}) {
		t.Errorf("change %+v, %v", change, err)
	}
	if _, err := b.p.Apply(nil); err == nil {
		t.Error("Apply(nil) was taken")
	}
	b.finish()
}

func TestPolicyErrorsNameAllThatIsWrong(t *testing.T) {
	_, err := NewPolicy([]Sublayer{{"s", 1}, {"s", 2}, {"", 3}}, []Filter{
		{Name: "a", Layer: OutboundTransport, Action: ActionBlock},
		{Name: "a", Layer: OutboundTransport, Action: ActionBlock},
		{Name: "b", Layer: OutboundTransport},
		{Name: "c", Layer: OutboundTransport, Action: ActionCalloutUnknown},
		{Name: "d", Layer: OutboundTransport, Action: ActionBlock, Sublayer: "nowhere"},
		{Name: "e", Layer: IPForward, Action: ActionBlock, When: when(t, "true")},
		{Name: "f", Layer: 77, Action: ActionBlock},
		{Action: ActionBlock},
	})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		`sublayer "s": the name is taken`, "a sublayer has no name", `filter "a": the name is taken`, `filter "b": no action`,
		`filter "c": action callout-unknown and its callout`, `filter "d": no sublayer "nowhere"`,
		`filter "e": conditions compiled for layer network, want forward`, `filter "f": no layer 77`, "has no name",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in:\n%v", want, err)
		}
	}
}

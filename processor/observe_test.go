package processor_test

import (
	"sync"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/filter"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/processor"
)

// looker wants packets to port 53 explained, and counts all.
type looker struct {
	mu     sync.Mutex // guards all below
	drops  int
	told   []*processor.Explanation
	untold int
}

func (*looker) Wants(_ int, p *divertdrv.Packet) bool {
	u := p.Headers().UDP(p.Data)
	return u != nil && u.DstPort() == 53
}

func (l *looker) Judged(_ int, _ *divertdrv.Packet, o processor.Outcome, x *processor.Explanation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if o.Fate == processor.Dropped {
		l.drops++
	}
	if x == nil {
		l.untold++
		return
	}
	l.told = append(l.told, x)
}

// Whoever looks is told of every packet, and how those came to their verdict that they want to know about; verdicts are the same.
func TestObserve(t *testing.T) {
	when, err := filter.Parse("udp.DstPort == 53", divertdrv.Network)
	if err != nil {
		t.Fatal(err)
	}
	pol, err := processor.NewPolicy(nil, []processor.Filter{{Name: "dns", Layer: processor.OutboundTransport, When: when, Action: processor.ActionBlock}})
	if err != nil {
		t.Fatal(err)
	}
	var results [2]divertdrv.Stats
	l := &looker{}
	for i := range results {
		h, err := divertdrv.Open("true", divertdrv.Network, &divertdrv.Options{Driver: simdrv.New(simdrv.Config{Source: simdrv.NewTraffic(1, 2000)})})
		if err != nil {
			t.Fatal(err)
		}
		p, err := processor.New(processor.Config{Handles: []*divertdrv.Handle{h}, Policy: pol, Settle: true, PacketTime: true})
		if err != nil {
			t.Fatal(err)
		}
		if i == 1 {
			p.Observe(l)
		}
		if err := p.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		results[i] = h.Stats()
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		p.Observe(nil)
	}
	if results[0] != results[1] {
		t.Errorf("unseen %+v, seen %+v", results[0], results[1])
	}
	st := results[1]
	if uint64(l.untold+len(l.told)) != st.Received || uint64(l.drops) != st.DroppedTotal() || l.drops == 0 || l.drops != len(l.told) {
		t.Errorf("%d told and %d not, %d drops; %+v", len(l.told), l.untold, l.drops, st)
	}
	for _, x := range l.told {
		if x.Verdict != "drop" || x.Decided != `filter "dns" at outbound-transport` || x.Flow == "" {
			t.Errorf("%+v", x)
		}
	}
}

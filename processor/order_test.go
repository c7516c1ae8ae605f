package processor

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weirnet/weir/divertdrv/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func testKey(n int) wire.FlowKey {
	ip := make([]byte, 40)
	ip[0], ip[3], ip[9] = 0x45, 40, wire.ProtoTCP
	a, b := netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)}).As4(), [4]byte{10, 1, 0, 1}
	copy(ip[12:], a[:])
	copy(ip[16:], b[:])
	ip[32] = 5 << 4
	var h wire.Headers
	wire.Parse(ip, &h)
	k, _, _ := h.Flow(ip)
	return k
}

// Jobs of a flow run in the order of arrival, behind a held packet only once it was released, whatever other flows do.
func TestJobsOfAFlowRunInOrder(t *testing.T) {
	const flows, jobs = 50, 200
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	o := newOrder(flows*jobs, 4)
	if err := o.start(); err != nil {
		t.Fatal(err)
	}
	table := newFlowTable(flows, o, Timeouts{}, new(atomic.Uint64))
	type state struct {
		flow *Flow
		next int          // expected by the jobs; touched by the flow's queue only
		made int          // jobs submitted
		open *atomic.Bool // a held packet that was not released
		done atomic.Int64
	}
	all := make([]*state, flows)
	for i := range all {
		key := testKey(i)
		all[i] = &state{flow: table.claim(&key, key.Hash(o.seed))}
	}
	release := func(s *state) {
		if s.open != nil {
			s.flow.queue.release(s.flow, s.open)
			s.open = nil
		}
	}
	for made := 0; made < flows*jobs; {
		s := all[rng.IntN(flows)]
		if s.made == jobs {
			release(s)
			continue
		}
		if !o.reserve() {
			t.Fatal("no room although there is")
		}
		j := &job{flow: s.flow}
		s.flow.pending.Add(1)
		if want := s.made; rng.IntN(10) == 0 && s.open == nil {
			s.open = new(atomic.Bool)
			j.wait, j.run = s.open, func() {}
		} else {
			j.run = func() {
				if s.next > want {
					t.Errorf("job %d ran behind %d", want, s.next)
				}
				s.next = want
				s.done.Add(1)
			}
		}
		o.submit([]*job{j})
		s.made++
		made++
		if rng.IntN(5) == 0 {
			release(all[rng.IntN(flows)])
		}
	}
	for _, s := range all {
		release(s)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := o.settle(ctx); err != nil {
		t.Fatal(err)
	}
	for i, s := range all {
		if s.flow.pending.Load() != 0 || s.flow.jobs.head != nil || s.flow.ready {
			t.Fatalf("flow %d: pending %d", i, s.flow.pending.Load())
		}
	}
	if room := o.room.Load(); room != flows*jobs {
		t.Errorf("room %d, want %d", room, flows*jobs)
	}
	if err := o.close(time.Minute); err != nil {
		t.Fatal(err)
	}
}

func TestReserveIsBounded(t *testing.T) {
	o := newOrder(2, 1)
	if !o.reserve() || !o.reserve() || o.reserve() || o.reserve() {
		t.Fatal("want exactly two")
	}
	if o.room.Load() != 0 {
		t.Fatalf("room %d, want 0", o.room.Load())
	}
}

// The clock evicts what was not used lately, and never a flow that packets wait in.
func TestFlowTableEvicts(t *testing.T) {
	o := newOrder(4, 1)
	table := newFlowTable(4, o, Timeouts{}, new(atomic.Uint64))
	packet := func(n int) *Flow {
		ip := make([]byte, 40)
		ip[0], ip[3], ip[9] = 0x45, 40, wire.ProtoTCP
		ip[14], ip[15], ip[16] = byte(n>>8), byte(n), 10
		ip[32] = 5 << 4
		var h wire.Headers
		wire.Parse(ip, &h)
		f, _, _ := table.find(ip, &h, 0)
		return f
	}
	pinned := packet(0)
	pinned.pending.Add(1)
	for n := 1; n < 100; n++ {
		if f := packet(n); f == nil || f == pinned {
			t.Fatalf("flow %d: %p, pinned %p", n, f, pinned)
		}
		if packet(0) != pinned {
			t.Fatal("the pinned flow was evicted")
		}
	}
	if got := table.evicted.Load(); got != 96 || table.live.Load() != 4 {
		t.Errorf("evicted %d of a table of %d, want 96 of 4", got, table.live.Load())
	}
	for i := range table.slab {
		table.slab[i].pending.Add(1)
	}
	if packet(1000) != nil {
		t.Error("a flow was found although packets wait in all")
	}
}

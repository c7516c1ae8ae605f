package rules

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/weirnet/weir/divertdrv/nfqdrv/internal/queue"
	"github.com/weirnet/weir/internal/nettest"
)

// listen binds a queue in the namespace here.
func (b *bench) listen() *queue.Queue {
	b.Helper()
	var q *queue.Queue
	var err error
	b.here.NS.Do(func() { q, err = queue.Open(queue.Config{}) })
	b.must(err)
	b.Cleanup(func() { b.must(q.Close()) })
	return q
}

// ids reads the ids of n packets that were queued.
func (b *bench) ids(q *queue.Queue, n int) (ids []uint32) {
	b.Helper()
	for len(ids) < n {
		_, err := q.Recv(queue.Block)
		b.must(err)
		for p := (queue.Packet{}); q.Next(&p); {
			ids = append(ids, p.ID)
		}
	}
	return ids
}

func (b *bench) accept(q *queue.Queue, ids []uint32) {
	b.Helper()
	v := q.NewVerdicts()
	for _, id := range ids {
		b.must(v.Accept(id))
	}
	b.must(v.Flush())
}

func (b *bench) diverting(priority int16, to To) *Table {
	b.Helper()
	table := b.open(priority, Output)
	b.must(table.Set([]Rule{{Hook: Output, Match: b.protocol(udp), Action: Queue, To: to}}))
	return table
}

func TestQueueAndBypass(t *testing.T) {
	b := newBench(t)
	q := b.listen()
	b.diverting(0, To{Queue: q.Number()})
	sink := nettest.ListenUDP(b, b.there.NS, netip.AddrPortFrom(b.there.V4, 0))
	nettest.SendUDP(b, b.here.NS, sink.Addr(), nettest.Stream{Count: 5})
	ids := b.ids(q, 5)
	if got := sink.Wait(1); got.Received != 0 {
		t.Fatalf("%d datagrams passed without a verdict", got.Received)
	}
	b.accept(q, ids)
	if got := sink.Wait(5); got.Received != 5 {
		t.Fatalf("%d of 5 datagrams passed", got.Received)
	}
	b.must(q.Close())
	if n := b.send(b.there.V4, 5); n != 0 {
		t.Fatalf("%d of 5 passed a queue without a listener", n)
	}
	b.diverting(1, To{Queue: q.Number() + 100, Bypass: true})
	table := b.open(0, Output)
	b.must(table.Set([]Rule{{Hook: Output, Action: Drop, Match: b.protocol(udp), Count: true}}))
	b.send(b.there.V4, 5)
	if n := b.counters(table)[0].Packets; n != 5 {
		t.Fatalf("%d of 5 passed to the next handle, by a queue with bypass and no listener", n)
	}
}

// What one handle holds outlives the opening and closing of others, their place in the order included.
func TestHeldPacketsOutliveOthers(t *testing.T) {
	b := newBench(t)
	q := b.listen()
	b.diverting(0, To{Queue: q.Number()})
	sink := nettest.ListenUDP(b, b.there.NS, netip.AddrPortFrom(b.there.V4, 0))
	nettest.SendUDP(b, b.here.NS, sink.Addr(), nettest.Stream{Count: 5})
	ids := b.ids(q, 5)
	for _, priority := range []int16{-1, -1, -2} { // below, so the place of what is held does not move
		other := b.open(priority, Output, Forward)
		b.must(other.Set([]Rule{{Hook: Output, Action: Pass, Count: true}}), other.Close())
	}
	b.accept(q, ids)
	if got := sink.Wait(5); got.Received != 5 {
		t.Fatalf("%d of 5 that were held arrived", got.Received)
	}
	if n := len(b.tables()); n != 3 {
		t.Fatalf("%d tables, want one in use and two parked", n)
	}
}

// A packet that waits while a higher chain comes is asked about again (see the package's doc), and is neither lost nor doubled.
func TestHigherChainWhilePacketsWait(t *testing.T) {
	b := newBench(t)
	q := b.listen()
	b.diverting(0, To{Queue: q.Number()})
	sink := nettest.ListenUDP(b, b.there.NS, netip.AddrPortFrom(b.there.V4, 0))
	nettest.SendUDP(b, b.here.NS, sink.Addr(), nettest.Stream{Count: 5})
	ids := b.ids(q, 5)
	b.open(1, Output)
	for asked := 0; len(ids) > 0; asked++ {
		if asked == 2 {
			t.Fatal("asked about the same packets a third time")
		}
		b.accept(q, ids)
		ids = ids[:0]
		if some, _ := q.Recv(queue.NoWait); some {
			for p := (queue.Packet{}); q.Next(&p); {
				ids = append(ids, p.ID)
			}
		}
	}
	if got := sink.Wait(6); got != (nettest.Arrival{Received: 5}) {
		t.Fatalf("%+v", got)
	}
}

// A parked table is taken again only where the kernel then asks it first among its equals.
func TestParkedTables(t *testing.T) {
	b := newBench(t)
	first := b.open(0, Output)
	keep := b.open(9, Input) // so that closing parks
	name := first.Name()
	b.must(first.Close())
	second := b.open(0, Output)
	if second.Name() != name {
		t.Fatalf("%s was made though %s was there", second.Name(), name)
	}
	if n := b.send(b.there.V4, 1); n != 1 {
		t.Fatal("an unparked table without rules drops")
	}
	newer := b.open(0, Output)
	b.must(second.Close())
	third := b.open(0, Output)
	if third.Name() == name {
		t.Fatal("a parked table that is not the newest of its priority was taken")
	}
	b.must(third.Close(), newer.Close())
	if again := b.open(0, Output); again.Name() != third.Name() {
		t.Fatalf("%s was taken, not the newest, %s", again.Name(), third.Name())
	}
	other := b.process("0") // another process's table is newer still
	if again := b.open(0, Output); slices.Contains([]string{name, newer.Name(), other.name}, again.Name()) {
		t.Fatalf("%s was taken, though %s is newer", again.Name(), other.name)
	}
	b.must(keep.Close())
}

func TestLastCloseRemovesParked(t *testing.T) {
	b := newBench(t)
	var all []*Table
	for i := range 5 {
		all = append(all, b.open(int16(i), Output, Input))
	}
	for i, table := range all {
		b.must(table.Close())
		want := 5
		if i == 4 {
			want = 0
		}
		if got := b.tables(); len(got) != want {
			t.Fatalf("%d tables after %d were closed, want %d", len(got), i+1, want)
		}
	}
}

// A process's tables in two namespaces have nothing to do with each other.
func TestNamespacesAreApart(t *testing.T) {
	b := newBench(t)
	table := b.open(0, Output)
	there, err := Open(Config{Namespace: b.there.NS.FD(), Hooks: []Hook{Output}})
	b.must(err)
	var here *Table
	b.here.NS.Do(func() { here, err = Open(Config{Namespace: -1, Priority: 1, Hooks: []Hook{Output}}) })
	b.must(err, table.Close())
	if got := b.tables(); len(got) != 2 {
		t.Fatalf("%v: the caller's namespace is another than its descriptor's", got)
	}
	b.must(here.Close())
	if got := b.tables(); len(got) != 0 {
		t.Fatalf("%v are left because of a table in another namespace", got)
	}
	b.must(there.Close())
}

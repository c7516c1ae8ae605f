package rules

import (
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/internal/netlink"
)

func TestClaims(t *testing.T) {
	b := newBench(t)
	claims := func() []Claim {
		t.Helper()
		all, err := Claims(b.here.NS.FD())
		b.must(err)
		return all
	}
	if got := claims(); len(got) != 0 {
		t.Fatalf("%v where there are no rules", got)
	}
	table := b.open(0, Output, Input)
	b.must(table.Set([]Rule{
		{Hook: Output, Match: b.protocol(icmp), Action: Queue, To: To{Queue: 7}, Count: true},
		{Hook: Output, Action: Pass},
		{Hook: Input, Action: Queue, To: To{Queue: 0xfff0, Count: 16, Bypass: true}},
	}))
	want := []Claim{
		{Family: unix.NFPROTO_INET, Table: table.Name(), Chain: "output", First: 7, Last: 7},
		{Family: unix.NFPROTO_INET, Table: table.Name(), Chain: "input", First: 0xfff0, Last: 0xffff},
	}
	got := claims()
	slices.SortFunc(got, func(a, b Claim) int { return int(a.First) - int(b.First) })
	if !slices.Equal(got, want) {
		t.Fatalf("got  %v\nwant %v", got, want)
	}
	b.must(table.Close())
	if got := claims(); len(got) != 0 {
		t.Fatalf("%v after Close", got)
	}
}

// Both ways to queue are read, whichever this kernel has.
func TestQueuesOfAnExpression(t *testing.T) {
	for name, build := range map[string]func(e *exprs){
		"statement": func(e *exprs) { e.queueNative(To{Queue: 300, Count: 2}) },
		"target":    func(e *exprs) { e.queueTarget(To{Queue: 300, Count: 2}) },
	} {
		var e exprs
		build(&e)
		err := netlink.Each(e, func(_ uint16, v []byte) error {
			first, count, err := queues(v)
			if first != 300 || count != 2 {
				t.Errorf("%s: %d, %d", name, first, count)
			}
			return err
		})
		if err != nil {
			t.Error(name, err)
		}
	}
}

package rules

import (
	"errors"
	"net/netip"
	"slices"
	"testing"

	"github.com/weirnet/weir/internal/nettest"
)

const udp, icmp = 17, 1

func TestActions(t *testing.T) {
	b := newBench(t)
	table := b.open(0, Output, Input)
	if n := b.send(b.there.V4, 10); n != 10 {
		t.Fatalf("a table without rules let %d of 10 pass", n)
	}
	match := b.protocol(udp)
	b.must(table.Set([]Rule{
		{Hook: Input, Action: Pass, Count: true},
		{Hook: Output, Action: Drop, Match: match, Count: true},
		{Hook: Output, Action: Pass},
		{Hook: Output, Action: Drop, Count: true},
	}))
	if n := b.send(b.there.V4, 10); n != 0 {
		t.Errorf("%d of 10 datagrams passed a drop", n)
	}
	if n := b.ping(b.there.V4); n != 3 {
		t.Errorf("%d of 3 echoes passed a filter that is not theirs", n)
	}
	if n := b.send(b.there.V6, 10); n != 10 {
		t.Errorf("%d of 10 datagrams passed a filter that is not theirs", n)
	}
	c := b.counters(table)
	if c[0].Packets < 3 || c[1] != (Counter{10, 10 * 38}) || c[2] != (Counter{}) || c[3] != (Counter{}) {
		t.Errorf("counters %v", c)
	}
	b.must(match.Close()) // the kernel keeps it
	if n := b.send(b.there.V4, 10); n != 0 {
		t.Errorf("%d of 10 datagrams passed after the program was closed", n)
	}
	b.must(table.Set(nil))
	if n := b.send(b.there.V4, 10); n != 10 {
		t.Errorf("%d of 10 datagrams passed when there were no more rules", n)
	}
}

func TestDevices(t *testing.T) {
	b := newBench(t)
	table, m := b.open(0, Input, Output), b.protocol(icmp)
	b.must(table.Set([]Rule{
		{Hook: Output, Out: Device{Index: Loopback}, Match: m, Action: Pass, Count: true},
		{Hook: Output, Out: Device{Index: uint32(b.here.Index), Not: true}, Match: m, Action: Drop, Count: true},
		{Hook: Output, Out: Device{Index: uint32(b.here.Index)}, Match: m, Action: Pass, Count: true},
		{Hook: Input, In: Device{Index: Loopback, Not: true}, Match: m, Action: Pass, Count: true},
		{Hook: Input, In: Device{Index: Loopback}, Match: m, Action: Pass, Count: true},
	}))
	b.ping(b.here.V4) // by loopback: request and answer
	b.ping(b.there.V4)
	for i, want := range []uint64{6, 0, 3, 3, 6} {
		if c := b.counters(table)[i]; c.Packets != want {
			t.Errorf("rule %d matched %d packets, want %d", i, c.Packets, want)
		}
	}
}

func TestRefusals(t *testing.T) {
	b := newBench(t)
	for name, cfg := range map[string]Config{
		"priority":   {Namespace: -1, Priority: 30001, Hooks: []Hook{Input}},
		"no hooks":   {Namespace: -1},
		"hook":       {Namespace: -1, Hooks: []Hook{9}},
		"hook twice": {Namespace: -1, Hooks: []Hook{Input, Input}},
		"namespace":  {Namespace: 1 << 20, Hooks: []Hook{Input}},
	} {
		if _, err := Open(cfg); err == nil {
			t.Errorf("%s: opened", name)
		}
	}
	table := b.open(0, Output, Input)
	good := []Rule{{Hook: Output, Match: b.protocol(udp), Action: Drop, Count: true}}
	b.must(table.Set(good))
	for name, r := range map[string]Rule{
		"hook":   {Hook: Forward},
		"in":     {Hook: Output, In: Device{Index: 1}},
		"out":    {Hook: Input, Out: Device{Index: 1}},
		"action": {Hook: Output, Action: 7},
		"queues": {Hook: Output, Action: Queue, To: To{Queue: 0xffff, Count: 2}},
	} {
		if err := table.Set([]Rule{good[0], r}); err == nil {
			t.Errorf("%s: set", name)
		}
	}
	if err := table.Set(make([]Rule, RulesMax+1)); err == nil {
		t.Error("too many rules were set")
	}
	if b.send(b.there.V4, 3) != 0 || b.counters(table)[0].Packets != 3 {
		t.Error("a refusal changed the rules")
	}
	b.must(table.Close(), table.Close())
	if err := table.Set(nil); !errors.Is(err, ErrClosed) {
		t.Errorf("Set after Close: %v", err)
	}
	if _, err := table.Counters(); !errors.Is(err, ErrClosed) {
		t.Errorf("Counters after Close: %v", err)
	}
}

// Of two handles the higher is asked first; of equals the newest, in both families. Whoever drops is the last to have seen the packet.
func TestOrder(t *testing.T) {
	b := newBench(t)
	old, low, young, high := b.open(5, Output), b.open(4, Output), b.open(5, Output), b.open(6, Output)
	order, match := []*Table{high, young, old, low}, b.length(200)
	for last := range order {
		for i, table := range order {
			action := Pass
			if i == last {
				action = Drop
			}
			b.must(table.Set([]Rule{{Hook: Output, Match: match, Action: action, Count: true}}))
		}
		for _, to := range []netip.Addr{b.there.V4, b.there.V6} {
			nettest.SendUDP(b, b.here.NS, netip.AddrPortFrom(to, 9), nettest.Stream{Count: 2, Size: 200})
		}
		var saw []uint64
		for _, table := range order {
			saw = append(saw, b.counters(table)[0].Packets)
		}
		want := append(slices.Repeat([]uint64{4}, last+1), make([]uint64, len(order)-last-1)...)
		if !slices.Equal(saw, want) {
			t.Errorf("when the %d. in order drops, they saw %v packets, want %v", last+1, saw, want)
		}
	}
}

package simdrv

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/internal/clock"
)

// settled asserts that every packet of a host is accounted for, when none waits and none is out: see Stats.
func settled(t testing.TB, s *Stack, handles ...*divertdrv.Handle) {
	t.Helper()
	st := s.Stats()
	in, out := st.Entered+st.Wholes, st.Left+st.Refused+st.Fragments
	for _, h := range handles {
		hs := h.Stats()
		if err := hs.Conserved(); err != nil {
			t.Error(err)
		}
		in += hs.Completed
		if h.Options().Flags&divertdrv.Sniff == 0 { // copies are no packets of the host
			out += hs.DroppedTotal() + hs.Lost
		}
	}
	if in != out {
		t.Errorf("the host got %d packets and accounts for %d: %+v", in, out, st)
	}
}

// What one host sends is received by the other, whole again if it was cut on the way; handles see it at both.
func TestLink(t *testing.T) {
	v := clock.NewVirtual(pipeStart)
	var here, there, lost []seen
	a := New(Config{Clock: v, OnWire: record(&lost), OnHost: record(&here)})
	b := New(Config{Clock: v, MTU: 600, OnWire: record(&lost), OnHost: record(&there)})
	l, err := Join(Port{Stack: a}, Port{Stack: b}, PipeConfig{Clock: v, Delay: 5 * time.Millisecond})
	must(t, err)
	h := open(t, b, "inbound", divertdrv.Options{})

	must(t, a.Send(named(udp4(1000))))
	if v.Advance(4 * time.Millisecond); l.There.Stats().UnderWay != 1 || len(there) != 0 {
		t.Fatal("the packet was faster than the wire")
	}
	v.Advance(time.Millisecond)
	pass(t, h, recv(t, h, 1))
	must(t, b.Send(named(udp4(1000)))) // in two fragments
	v.Advance(5 * time.Millisecond)
	if len(here) != 1 || len(there) != 1 || len(here[0].data) != 1028 || len(there[0].data) != 1028 || len(lost) != 0 {
		t.Errorf("%d here, %d there, %d lost", len(here), len(there), len(lost))
	}
	if st := l.Back.Stats(); st.Sent != 2 || st.Delivered != 2 || a.Stats().Wholes != 1 {
		t.Errorf("back %+v", st)
	}

	must(t, a.Send(udp4(1)))
	l.Close()
	l.Close()
	v.Advance(time.Second)
	must(t, a.Send(udp4(1)))
	if st := l.There.Stats(); st.NoRoom != 1 || len(there) != 1 || len(lost) != 1 {
		t.Errorf("there %+v, %d arrived, %d to OnWire", st, len(there), len(lost))
	}
	lawful(t, l.There)
	lawful(t, l.Back)
	settled(t, a)
	settled(t, b, h)
}

func TestLinkPorts(t *testing.T) {
	var host, out []seen
	far := New(Config{OnHost: record(&host)})
	r, _, _ := router(func(c *Config) { c.OnWire = record(&out) })
	if _, err := Join(Port{Stack: r, IfIdx: 9}, Port{Stack: far}, PipeConfig{}); !errors.Is(err, divertdrv.ErrInvalid) {
		t.Errorf("Join at interface 9: %v", err)
	}
	first, err := Join(Port{Stack: r, IfIdx: 2}, Port{Stack: far}, PipeConfig{})
	must(t, err)
	second, err := Join(Port{Stack: r, IfIdx: 2}, Port{Stack: far}, PipeConfig{})
	must(t, err)
	first.Close() // has nothing to do with the port any more
	must(t, r.Receive(between("192.0.2.1", "198.51.100.7", 5)))
	must(t, r.Receive(between("192.0.2.1", "203.0.113.7", 5))) // by another interface
	if len(host) != 1 || len(out) != 1 || second.There.Stats().Delivered != 1 || first.There.Stats().Sent != 0 {
		t.Errorf("%d arrived, %d to OnWire", len(host), len(out))
	}
	must(t, far.Send(between("203.0.113.7", "198.51.100.10", 5)))
	if st := second.Back.Stats(); st.Delivered != 1 {
		t.Errorf("back %+v", st)
	}
	second.Close()
}

// Two hosts on two routers: what one sends hops twice, and too often not at all.
func TestLinkRoutes(t *testing.T) {
	prefix := netip.MustParsePrefix
	var got []seen
	a := New(Config{Interfaces: []Interface{{IfIdx: 1, Addrs: []netip.Prefix{prefix("10.0.1.1/24")}}}})
	b := New(Config{Interfaces: []Interface{{IfIdx: 1, Addrs: []netip.Prefix{prefix("10.0.2.1/24")}}}, OnHost: record(&got)})
	left := New(Config{Forwarding: true, Interfaces: []Interface{
		{IfIdx: 1, Addrs: []netip.Prefix{prefix("10.0.1.254/24")}}, {IfIdx: 2, Default: true, Addrs: []netip.Prefix{prefix("10.0.9.1/24")}},
	}})
	right := New(Config{Forwarding: true, Interfaces: []Interface{
		{IfIdx: 1, Addrs: []netip.Prefix{prefix("10.0.2.254/24")}}, {IfIdx: 2, Default: true, Addrs: []netip.Prefix{prefix("10.0.9.2/24")}},
	}})
	for _, ends := range [][2]Port{{{a, 1}, {left, 1}}, {{left, 2}, {right, 2}}, {{right, 1}, {b, 1}}} {
		l, err := Join(ends[0], ends[1], PipeConfig{})
		must(t, err)
		defer l.Close()
	}
	forwards := openAt(t, right, "true", divertdrv.NetworkForward, divertdrv.Options{Flags: divertdrv.Sniff})
	for _, ttl := range []byte{3, 2, 1} {
		data := between("10.0.1.1", "10.0.2.1", 5)
		data[8] = ttl
		wire.CalcChecksums(data, 0)
		must(t, a.Send(data))
	}
	if len(got) != 1 || got[0].data[8] != 1 || left.Stats().HopLimit != 1 || right.Stats().HopLimit != 1 {
		t.Errorf("%d arrived, stats %+v, %+v", len(got), left.Stats(), right.Stats())
	}
	pass(t, forwards, recv(t, forwards, 2))
	for _, s := range []*Stack{a, left, right, b} {
		settled(t, s)
	}
	must(t, b.Send(between("10.0.2.1", "10.0.1.1", 5)))
	if a.Stats().Left != 4 { // three sent, one got
		t.Errorf("stats %+v", a.Stats())
	}
}

// Each fault on the wire between two hosts, and all at once: a host takes what comes, damaged as it is, and accounts for it.
func TestLinkFaults(t *testing.T) {
	for name, f := range map[string]Faults{
		"drop": {Drop: 0.2}, "duplicate": {Duplicate: 0.2}, "reorder": {Reorder: 0.3}, "delay": {Delay: 0.2},
		"corrupt": {Corrupt: 0.5}, "truncate": {Truncate: 0.5}, "all": allFaults,
	} {
		t.Run(name, func(t *testing.T) {
			v := clock.NewVirtual(pipeStart)
			var got []seen
			a := New(Config{Clock: v, MTU: 500, Source: NewTraffic(1, 3000)})
			b := New(Config{Clock: v, OnHost: record(&got)})
			f.Seed = 11
			l, err := Join(Port{Stack: a}, Port{Stack: b}, PipeConfig{Clock: v, Faults: f})
			must(t, err)
			defer l.Close()
			sender, receiver := open(t, a, "outbound", divertdrv.Options{}), open(t, b, "true", divertdrv.Options{})
			batch := divertdrv.NewBatch(64, 1<<18)
			received := uint64(0)
			for sender.Recv(batch) == nil {
				pass(t, sender, batch)
				v.Advance(100 * time.Microsecond)
				received += drainInto(t, receiver, b)
			}
			v.Advance(time.Second) // more than any delay, less than QueueTime
			received += drainInto(t, receiver, b)
			lawful(t, l.There)
			settled(t, b, receiver)
			st := l.There.Stats()
			if st.UnderWay != 0 || st.Refused != 0 || b.Stats().Entered != st.Delivered || received < 500 {
				t.Errorf("wire %+v, host %+v, received %d", st, b.Stats(), received)
			}
		})
	}
}

// drainInto passes what waits at a handle of whole packets, and returns how many those were.
func drainInto(t testing.TB, h *divertdrv.Handle, s *Stack) (n uint64) {
	t.Helper()
	b := divertdrv.NewBatch(64, 1<<18)
	for waits(s, h) > 0 {
		must(t, h.Recv(b))
		n += uint64(b.Len())
		pass(t, h, b)
	}
	return n
}

// waits counts the packets of a host that wait for its one handle; it loses none.
func waits(s *Stack, h *divertdrv.Handle) uint64 {
	st, hs := s.Stats(), h.Stats()
	return st.Entered + st.Wholes - st.Left - st.Refused - st.Fragments - hs.DroppedTotal() - hs.Lost - hs.InBatch - hs.Held
}

// Overload: nobody reads, and the wire brings more than the queue may have. What is shed is counted, the rest is the newest.
func TestLinkOverload(t *testing.T) {
	for _, c := range []struct {
		overload divertdrv.Overload
		want     []int // the first and the last that are received
		passedBy int
	}{
		{divertdrv.OverloadShedOldest, []int{68, 99}, 0},
		{divertdrv.OverloadClosed, []int{0, 31}, 0},
		{divertdrv.OverloadOpen, []int{0, 31}, 68},
	} {
		var got []seen
		a, b := New(Config{}), New(Config{OnHost: record(&got)})
		l, err := Join(Port{Stack: a}, Port{Stack: b}, PipeConfig{})
		must(t, err)
		defer l.Close()
		h := open(t, b, "true", divertdrv.Options{Overload: c.overload})
		must(t, h.SetParam(divertdrv.Param(0), 32)) // QueueLength
		for n := range 100 {
			data := udp4(1)
			data[28] = byte(n)
			wire.CalcChecksums(data, 0)
			must(t, a.Send(data))
		}
		batch := recv(t, h, 32)
		first, last := int(batch.Packets()[0].Data[28]), int(batch.Packets()[31].Data[28])
		pass(t, h, batch)
		if !slices.Equal([]int{first, last}, c.want) || h.Stats().Lost != uint64(68-c.passedBy) || len(got) != 32+c.passedBy {
			t.Errorf("overload %d: received %d to %d, lost %d, the host got %d", c.overload, first, last, h.Stats().Lost, len(got))
		}
		settled(t, b, h)
	}
}

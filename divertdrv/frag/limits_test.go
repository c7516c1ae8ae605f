package frag_test

import (
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv/frag"
	"github.com/weirnet/weir/divertdrv/wire"
)

func TestOldestGoesWhenTooManyPacketsWait(t *testing.T) {
	o := newOwner(t, frag.Config{Packets: 3})
	first := func(id uint16) []byte { // of both versions in turn: which is oldest does not depend on that
		return fragmentOf(id%2 == 0, id, wire.ProtoUDP, piece{0, 16, true, 'A'})
	}
	last := func(id uint16) []byte { return fragmentOf(id%2 == 0, id, wire.ProtoUDP, piece{16, 1, false, 'B'}) }
	o.want(frag.Held, first(1), first(2), first(3))
	o.want(frag.Held, first(4)) // 1 goes
	o.want(frag.Joined, last(2))
	o.want(frag.Held, last(1)) // begins anew
	if s := o.Stats(); s.Outcomes[frag.EvictedPackets] != 1 || s.Packets != 3 {
		t.Fatalf("%+v", s)
	}
	o.want(frag.Joined, last(3), last(4), first(1))
}

func TestOldestGoesWhenMemoryIsShort(t *testing.T) {
	both(t, func(t *testing.T, v6 bool) {
		const limit = 256 << 10
		o := newOwner(t, frag.Config{Bytes: limit})
		big := func(id uint16) []byte { return fragmentOf(v6, id, wire.ProtoUDP, piece{0, 32000, true, 'A'}) }
		last := func(id uint16) []byte { return fragmentOf(v6, id, wire.ProtoUDP, piece{32000, 32000, false, 'B'}) }
		for id := range uint16(7) {
			o.want(frag.Held, big(id))
		}
		if s := o.Stats(); s.Bytes > limit || s.Bytes < limit-33000 {
			t.Fatalf("%+v", s)
		}
		o.want(frag.Joined, last(0)) // the oldest, which needs room: another goes
		if s := o.Stats(); s.Outcomes[frag.EvictedBytes] != 1 || s.Packets != 5 {
			t.Fatalf("%+v", s)
		}
		o.want(frag.Held, last(1)) // it went
		o.want(frag.Joined, last(2), last(3))
	})
}

// Little memory is raised to what the worst packet takes, which then gets through.
func TestOnePacketAlwaysFits(t *testing.T) {
	both(t, func(t *testing.T, v6 bool) {
		o := newOwner(t, frag.Config{Bytes: 1, Packets: 1})
		const n = 256 // bytes, one more than 31 cells hold: the last cell of each is nearly empty
		pieces := frag.DefaultPieces
		for i := range pieces - 1 {
			o.want(frag.Held, piece{n * i, n, true, 'A'}.build(v6))
		}
		o.want(frag.Joined, piece{n * (pieces - 1), 200, false, 'A'}.build(v6))
	})
}

func TestTooManyPieces(t *testing.T) {
	both(t, func(t *testing.T, v6 bool) {
		o := newOwner(t, frag.Config{Pieces: 4})
		for i := range 4 {
			o.want(frag.Held, piece{8 * i, 8, true, 'A'}.build(v6))
		}
		o.want(frag.Duplicate, piece{0, 8, true, 'A'}.build(v6))
		o.want(frag.TooManyPieces, piece{32, 8, true, 'A'}.build(v6), piece{0, 8, true, 'A'}.build(v6))
		if s := o.Stats(); s.Outcomes[frag.TooManyPieces] != 6 || s.Waiting != 0 {
			t.Fatalf("%+v", s)
		}
	})
}

// Only the first fragment tells how long the headers are, so the length is looked at again when it comes, and after.
func TestTooLongWithTheHeadersOfTheFirst(t *testing.T) {
	options := func(p piece) []byte { // 40 bytes of IPv4 options, or a Hop-by-Hop header of that length
		b := p.build(false)
		b = append(b[:20:20], append(make([]byte, 40), b[20:]...)...)
		ip := (*wire.IPv4Header)(b)
		ip.SetHeaderLen(60)
		ip.SetLength(uint16(len(b)))
		return b
	}
	late := piece{65496, 8, false, 'B'}.build(false) // 65,524 bytes with a header of 20
	first := options(piece{0, 16, true, 'A'})
	o := newOwner(t, frag.Config{})
	o.want(frag.Held, late)
	o.want(frag.TooLong, first, late)
	o = newOwner(t, frag.Config{})
	o.want(frag.Held, first)
	o.want(frag.TooLong, late, first)
	if s := o.Stats(); s.Outcomes[frag.TooLong] != 3 || s.Waiting != 0 {
		t.Fatalf("%+v", s)
	}
}

func TestExpire(t *testing.T) {
	o := newOwner(t, frag.Config{TimeoutIPv4: 2 * time.Second, TimeoutIPv6: 5 * time.Second})
	start := o.now
	if next := o.Expire(o.now); !next.IsZero() {
		t.Fatalf("nothing waits, but look again at %v", next)
	}
	six, four := piece{0, 16, true, 'A'}.build(true), piece{0, 16, true, 'A'}.build(false)
	o.want(frag.Held, six)
	o.now = start.Add(time.Second)
	o.want(frag.Held, four, fragmentOf(false, 8, wire.ProtoUDP, piece{16, 8, true, 'B'}))
	if next := o.Expire(o.now); next != start.Add(3*time.Second) {
		t.Fatalf("next %v", next.Sub(start))
	}
	o.now = start.Add(2 * time.Second)
	o.want(frag.Held, piece{16, 8, true, 'B'}.build(false)) // gives no new time
	o.now = start.Add(3 * time.Second)
	if next := o.Expire(o.now); next != start.Add(5*time.Second) {
		t.Fatalf("next %v", next.Sub(start))
	}
	if o.check(); len(o.held) != 1 || o.outcomes[frag.Expired] != 3 {
		t.Fatalf("held %d, %v", len(o.held), o.outcomes)
	}
	// The first fragment is shown as it came; of packet 8 it never did.
	if len(o.exceeded) != 1 || string(o.exceeded[0]) != string(four) {
		t.Fatalf("Time Exceeded for %x", o.exceeded)
	}
	o.now = start.Add(5 * time.Second)
	o.want(frag.Held, four) // Add expires too
	if len(o.exceeded) != 2 || string(o.exceeded[1]) != string(six) || o.outcomes[frag.Expired] != 4 {
		t.Fatalf("Time Exceeded for %x, %v", o.exceeded, o.outcomes)
	}
}

func TestClose(t *testing.T) {
	o := newOwner(t, frag.Config{})
	both(t, func(t *testing.T, v6 bool) {
		o.want(frag.Held, piece{0, 16, true, 'A'}.build(v6), piece{16, 8, true, 'A'}.build(v6))
	})
	o.Close()
	o.check()
	if s := o.Stats(); s.Outcomes[frag.Closed] != 4 || s.Packets != 0 || len(o.exceeded) != 0 {
		t.Fatalf("%+v", s)
	}
	o.Close()
	o.want(frag.Held, piece{0, 16, true, 'A'}.build(true))
	o.want(frag.Joined, piece{16, 8, false, 'A'}.build(true))
}

// A flood that never completes anything stays within the limits, and every fragment is accounted for.
func TestFlood(t *testing.T) {
	c := frag.Config{Packets: 50, Bytes: 256 << 10, Pieces: 8}
	o := newOwner(t, c)
	for i := range 20_000 {
		o.now = o.now.Add(10 * time.Millisecond)
		p := piece{8 * (i * 7919 % 4096), 8 * (1 + i%150), true, byte(i)}
		o.add(fragmentOf(i%3 == 0, uint16(i*31%400), uint8(100+i%5), p))
		if s := o.Stats(); s.Bytes > c.Bytes || s.Packets > c.Packets || s.Waiting > c.Packets*c.Pieces {
			t.Fatalf("over the limit: %+v", s)
		}
	}
	o.Close()
	o.check()
	if len(o.held) != 0 {
		t.Fatalf("%d fragments are left", len(o.held))
	}
	t.Logf("%v", o.outcomes)
}

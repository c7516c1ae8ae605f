package frag

import (
	"time"

	"github.com/weirnet/weir/divertdrv/wire"
)

// Defaults of Config.
const (
	DefaultPackets     = 1024
	DefaultBytes       = 4 << 20
	DefaultPieces      = 256              // 65,535 bytes at an MTU of 296, the smallest in use (RFC 1191 7.1)
	DefaultTimeoutIPv4 = 30 * time.Second // RFC 1122 3.3.2 wants 60 to 120 s, when networks were slower; systems have taken 30 s since
	DefaultTimeoutIPv6 = 60 * time.Second // RFC 8200 4.5
)

// Config bounds a Reassembler. The zero value of each field stands for the default.
type Config struct {
	// Packets may wait at a time, those included that are refused until their time is up.
	Packets int
	// Bytes of memory for waiting fragments; each takes a multiple of 256. It is allocated as needed, kept, and at least what one
	// packet can take: 67 KiB and 256 bytes for each of its Pieces.
	Bytes int
	// Pieces that one packet may come in, at most 8,192. The time that a hostile Add takes grows with it.
	Pieces int
	// How long a packet may wait for its rest, from its first fragment to arrive.
	TimeoutIPv4, TimeoutIPv6 time.Duration
	// Now is the clock: time.Now by default.
	Now func() time.Time
	// Release hands a token back: of a fragment that Add said is Held, exactly once, during a later call, with its outcome. If
	// that is Joined, the whole packet is about to be returned. It must not call the Reassembler.
	Release func(token uint64, o Outcome)
	// TimeExceeded is told the first fragment of a packet that expired, if that one had come: a host answers with ICMP or ICMPv6
	// Time Exceeded, code 1 (RFC 792, RFC 8200 4.5). The bytes are valid until it returns. It must not call the Reassembler.
	TimeExceeded func(first []byte)
}

func (c Config) normal() Config {
	c.Packets = defaulted(c.Packets, DefaultPackets)
	c.Pieces = min(defaulted(c.Pieces, DefaultPieces), maxPieces)
	c.Bytes = max(defaulted(c.Bytes, DefaultBytes), (cellsFor(wholeLen)+c.Pieces)*cellSize)
	c.TimeoutIPv4 = defaulted(c.TimeoutIPv4, DefaultTimeoutIPv4)
	c.TimeoutIPv6 = defaulted(c.TimeoutIPv6, DefaultTimeoutIPv6)
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

const maxPieces = 8192 // of 8 bytes each

func defaulted[T int | time.Duration](v, otherwise T) T {
	if v <= 0 {
		return otherwise
	}
	return v
}

// Reassembler joins fragments. One goroutine uses it at a time, but Stats may be called from any.
type Reassembler struct {
	cfg     Config
	waiting waiting
	store   store
	whole   []byte // what was joined last
	count   counters
}

// NewReassembler returns an empty one. It has nothing that must be closed, but see Close.
func NewReassembler(c Config) *Reassembler {
	c = c.normal()
	r := &Reassembler{cfg: c, store: store{limit: c.Bytes / cellSize}}
	r.waiting.byKey = make(map[key]*packet)
	return r
}

// Result says what became of the fragment given to Add.
type Result struct {
	Outcome Outcome
	Whole   []byte // iff Outcome is Joined: the packet, aligned for every header; valid until the next call of any method
	Pieces  int    // iff Outcome is Joined: the fragments it came in
	Largest int    // iff Outcome is Joined: the longest of them, header included, in bytes; who forwards cuts no larger
}

// Add takes a fragment, whose headers wire.Parse found to be h, and copies what it keeps.
//
// The token is the caller's own and belongs to the Reassembler iff the outcome is Held. Fragments are of one packet only if
// their scope is the same too: it keeps apart what addresses do not, such as directions, or the interfaces of link-local
// addresses; 0 is fine where there is nothing to keep apart.
//
// Header checksums are not verified, since they may not be ready yet where packets are captured; the whole has a right one.
func (r *Reassembler) Add(pkt []byte, h *wire.Headers, scope uint32, token uint64) Result {
	if !h.Fragment {
		return Result{}
	}
	now := r.cfg.Now()
	r.Expire(now)
	r.count.fragments.Add(1)
	f, o := judge(pkt, h)
	switch {
	case o != Held:
		return r.done(Result{Outcome: o})
	case f.atomic:
		return r.done(r.joinAtomic(&f))
	}
	p := r.find(keyOf(&f, h, scope), now)
	return r.done(r.take(p, &f, token))
}

// take puts the fragment in its place in p. Held is the only outcome after which the fragment is still there.
func (r *Reassembler) take(p *packet, f *fragment, token uint64) Result {
	if p.refused != 0 {
		return Result{Outcome: p.refused}
	}
	after, o := r.place(p, f)
	switch o {
	case Held:
	case Duplicate:
		return Result{Outcome: o}
	default:
		r.condemn(p, o, nil)
		return Result{Outcome: o}
	}
	last := r.keep(p, after, f, token)
	if !p.complete() {
		return Result{Outcome: Held}
	}
	return r.join(p, last)
}

// done counts the fragment of this call.
func (r *Reassembler) done(res Result) Result {
	if res.Outcome != Held {
		r.count.outcomes[res.Outcome].Add(1)
	}
	if res.Outcome == Joined {
		r.count.wholes.Add(1)
	}
	return res
}

// Expire drops what has waited too long and returns when something will have next, the zero time if nothing waits. Add does so
// too; who holds tokens calls it as well, since no fragment may come.
func (r *Reassembler) Expire(now time.Time) (next time.Time) {
	for i := range r.waiting.ages {
		age := &r.waiting.ages[i]
		for p := age.oldest; p != nil && !now.Before(p.deadline); p = age.oldest {
			r.tellTimeExceeded(p)
			r.forget(p, Expired, nil)
		}
		if p := age.oldest; p != nil && (next.IsZero() || p.deadline.Before(next)) {
			next = p.deadline
		}
	}
	return next
}

// Close drops all that waits, so every token comes back. The Reassembler is empty then, and can be used again.
func (r *Reassembler) Close() {
	for i := range r.waiting.ages {
		for age := &r.waiting.ages[i]; age.oldest != nil; {
			r.forget(age.oldest, Closed, nil)
		}
	}
}

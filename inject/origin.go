package inject

import (
	"fmt"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/internal/clock"
)

// State is what is known of how a packet came to be here (FWPS_PACKET_INJECTION_STATE).
type State uint8

// The states.
const (
	NotInjected      State = iota // or put in by somebody of whom the driver says nothing
	BySelf                        // by another handle of this program, above this one; see Config.Origins
	ByOther                       // by another driver or program: Address.Impostor
	PreviouslyBySelf              // by this injector, and somebody else brought it back
)

// String returns the state in words.
func (s State) String() string {
	return [...]string{"not injected", "by self", "by other", "previously by self"}[min(s, PreviouslyBySelf)]
}

// LoopMax is how often a packet may come back to the injector that put it in, each time within loopGap, until the injector refuses
// to put it in again. What comes back more slowly is no loop: TCP repeats a segment after 200 ms at the earliest (Linux; 300 ms
// on Windows), and what an application says at intervals, as a keepalive, may be the same bytes each time.
const LoopMax = 32

const (
	loopNamed     = 4 // times it comes back, until the loop is told of: once or twice is a duplicate
	loopGap       = 150 * time.Millisecond
	originsWindow = time.Second
	originsMax    = 4096 // packets remembered; the oldest of a set gives way
	originsWays   = 4
)

// Loop says that a packet which was put in came back through somebody else who knows no ranks.
type Loop struct {
	Flow   wire.FlowKey
	Passes int  // how often it came back
	Broken bool // LoopMax was reached: it is not put in again
}

func (l Loop) String() string {
	what := "comes back"
	if l.Broken {
		what = "went round in a loop, which is broken"
	}
	return fmt.Sprintf("a packet of ours between %v and %v, protocol %d, %s after %d passes: another program re-injects what Weir puts in; exempt one from the other",
		l.Flow.Low().Addr(), l.Flow.High().Addr(), l.Flow.Proto(), what, l.Passes)
}

// Origins remembers which packets were injected in the last second, by what cannot change on the way; see fingerprint. It is
// bounded. Injectors that share one tell each other's packets (BySelf); its zero value is not usable. All may be used from any
// goroutine.
type Origins struct {
	seed maphash.Seed
	last atomic.Int64 // when something was remembered last, nanoseconds; 0: never

	mu   sync.Mutex // guards all below
	sets [originsMax / originsWays][originsWays]origin
}

type origin struct {
	fingerprint
	by     *Injector
	at     int64 // last seen; nanoseconds
	passes int   // since it was put in or, if later, since it came back more than loopGap late
}

// NewOrigins returns an empty one.
func NewOrigins() *Origins { return &Origins{seed: maphash.MakeSeed()} }

// recent says whether anything can be found at the time by c. Without injections it costs one load.
func (o *Origins) recent(c clock.Clock) bool {
	last := o.last.Load()
	return last != 0 && clock.Steady(c.Now())-last <= int64(originsWindow)
}

// look returns who injected the packet, nil if nobody did lately.
func (o *Origins) look(f fingerprint, now time.Time) *Injector {
	o.mu.Lock()
	defer o.mu.Unlock()
	if e := o.find(f, clock.Steady(now)); e != nil {
		return e.by
	}
	return nil
}

// pass counts that j lets the packet go on, and returns how often it has come back in a row. A packet that is not known is
// remembered iff it is injected.
func (o *Origins) pass(j *Injector, f fingerprint, now time.Time, injected bool) int {
	at := clock.Steady(now)
	o.mu.Lock()
	defer o.mu.Unlock()
	e := o.find(f, at)
	switch {
	case e != nil && e.by == j:
		if at-e.at > int64(loopGap) {
			e.passes = 0
		}
		e.passes++
	case e != nil || !injected:
		return 0
	default:
		e = o.oldest(f)
		*e = origin{fingerprint: f, by: j}
	}
	if e.id == 0 {
		e.id = f.id
	}
	e.at = at
	o.last.Store(at)
	return e.passes
}

// undo takes back one pass that did not take place.
func (o *Origins) undo(j *Injector, f fingerprint, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if e := o.find(f, clock.Steady(now)); e != nil && e.by == j && e.passes > 0 {
		e.passes--
	}
}

// find needs o.mu.
func (o *Origins) find(f fingerprint, now int64) *origin {
	set := &o.sets[f.print%uint64(len(o.sets))]
	for i := range set {
		if e := &set[i]; e.by != nil && e.same(f) && now-e.at <= int64(originsWindow) {
			return e
		}
	}
	return nil
}

// oldest needs o.mu.
func (o *Origins) oldest(f fingerprint) *origin {
	set := &o.sets[f.print%uint64(len(o.sets))]
	oldest := &set[0]
	for i := range set {
		if set[i].at < oldest.at {
			oldest = &set[i]
		}
	}
	return oldest
}

// State tells how a packet that was received came to be here. It neither changes nor counts anything, and allocates nothing. Two
// packets that are the same to the byte cannot be told apart.
func (j *Injector) State(p *divertdrv.Packet) State {
	if h := p.Headers(); h.Version != 0 && j.origins.recent(j.clock) {
		switch j.origins.look(j.origins.fingerprint(p.Data, h), j.clock.Now()) {
		case nil:
		case j:
			return PreviouslyBySelf
		default:
			return BySelf
		}
	}
	if p.Addr.Impostor() {
		return ByOther
	}
	return NotInjected
}

// pass is one more pass of a packet that goes on.
type pass struct {
	of     fingerprint
	back   bool // it has come back
	broken bool // and must not go on again
}

// pass counts it, and tells of a loop.
func (j *Injector) pass(p *divertdrv.Packet, injected bool) (v pass) {
	h := p.Headers()
	if h.Version == 0 {
		return v
	}
	v.of = j.origins.fingerprint(p.Data, h)
	passes := j.origins.pass(j, v.of, j.clock.Now(), injected)
	if passes == 0 || j.loops == Off {
		return v
	}
	j.returned.Add(1)
	v.back, v.broken = true, passes >= LoopMax && j.loops == Enforce
	if v.broken {
		j.broken.Add(1)
	}
	if j.onLoop != nil && (passes == loopNamed || passes == LoopMax) {
		flow, _, _ := h.Flow(p.Data)
		j.onLoop(Loop{Flow: flow, Passes: passes, Broken: v.broken})
	}
	return v
}

// undo takes back a pass of a packet that the driver refused: whoever tries it again makes no loop.
func (j *Injector) undo(v pass) {
	if v.back {
		j.returned.Add(^uint64(0))
		j.origins.undo(j, v.of, j.clock.Now())
	}
}

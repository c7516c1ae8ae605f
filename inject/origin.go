package inject

import (
	"fmt"
	"hash/maphash"
	"math/bits"
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

// LoopMax is how often a packet may come back to the injector that put it in, within a second each time, until the injector
// refuses to put it in again. TCP repeats a segment a few times in a second at most; a loop does it thousands of times.
const LoopMax = 32

const (
	loopWindow  = time.Second
	originsMax  = 4096 // packets remembered; the oldest of a set gives way
	originsWays = 4
)

// Loop says that a packet which was put in came back through somebody else who knows no ranks.
type Loop struct {
	Flow   wire.FlowKey
	Passes int  // how often it has been put in or passed since the first time
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

// Origins remembers which packets were injected in the last second, by what cannot change on the way: addresses, ports, length
// and the beginning of the payload, but not TTL, identification and checksums. It is bounded. Injectors that share one tell
// each other's packets (BySelf); its zero value is not usable.
type Origins struct {
	seed maphash.Seed
	last atomic.Int64 // when something was remembered last, nanoseconds; 0: never

	mu   sync.Mutex // guards all below
	sets [originsMax / originsWays][originsWays]origin
}

type origin struct {
	print  uint64
	by     *Injector
	at     int64 // last seen; nanoseconds
	passes int
}

// NewOrigins returns an empty one.
func NewOrigins() *Origins { return &Origins{seed: maphash.MakeSeed()} }

// recent returns the time by c, and whether anything can be found then. Without injections it costs one load.
func (o *Origins) recent(c clock.Clock) (now time.Time, any bool) {
	last := o.last.Load()
	if last == 0 {
		return now, false
	}
	now = c.Now()
	return now, now.UnixNano()-last <= int64(loopWindow)
}

// look returns who injected the packet, nil if nobody did lately.
func (o *Origins) look(pkt []byte, h *wire.Headers, now time.Time) *Injector {
	print := o.fingerprint(pkt, h)
	o.mu.Lock()
	defer o.mu.Unlock()
	if e := o.find(print, now.UnixNano()); e != nil {
		return e.by
	}
	return nil
}

// pass counts that j lets the packet go on, and returns how often it did so before. A packet that is not known is remembered iff
// it is injected.
func (o *Origins) pass(j *Injector, pkt []byte, h *wire.Headers, now time.Time, injected bool) int {
	print, at := o.fingerprint(pkt, h), now.UnixNano()
	o.mu.Lock()
	defer o.mu.Unlock()
	e := o.find(print, at)
	switch {
	case e != nil && e.by == j:
		e.passes++
		e.at = at
		o.last.Store(at)
		return e.passes
	case e != nil || !injected:
		return 0
	}
	set := &o.sets[print%uint64(len(o.sets))]
	oldest := &set[0]
	for i := range set {
		if set[i].at < oldest.at {
			oldest = &set[i]
		}
	}
	*oldest = origin{print: print, by: j, at: at}
	o.last.Store(at)
	return 0
}

// find needs o.mu.
func (o *Origins) find(print uint64, now int64) *origin {
	set := &o.sets[print%uint64(len(o.sets))]
	for i := range set {
		if e := &set[i]; e.print == print && e.by != nil && now-e.at <= int64(loopWindow) {
			return e
		}
	}
	return nil
}

// payloadPrinted is how much of the payload a fingerprint covers, in bytes.
const payloadPrinted = 64

// fingerprint reads what a re-injector leaves alone.
func (o *Origins) fingerprint(pkt []byte, h *wire.Headers) uint64 {
	var print uint64
	add := func(b []byte) { print = bits.RotateLeft64(print, 23) ^ maphash.Bytes(o.seed, b) }
	if h.Version == 4 {
		add(pkt[12:20])
	} else {
		add(pkt[8:40])
	}
	switch t := pkt[h.TransportOff:h.PayloadOff]; h.Transport {
	case wire.TCP:
		add(t[:16]) // up to the checksum
	case wire.UDP:
		add(t[:6])
	case wire.ICMP, wire.ICMPv6:
		add(t[:2])
		add(t[4:])
	}
	payload := h.Payload(pkt)
	add(payload[:min(len(payload), payloadPrinted)])
	return print ^ uint64(len(payload))<<32 ^ uint64(h.Proto)<<8 ^ uint64(h.FragOff)
}

// State tells how a packet that was received came to be here. It neither changes nor counts anything, and allocates nothing.
func (j *Injector) State(p *divertdrv.Packet) State {
	if now, any := j.origins.recent(j.clock); any {
		if h := p.Headers(); h.Version != 0 {
			switch by := j.origins.look(p.Data, h, now); by {
			case nil:
			case j:
				return PreviouslyBySelf
			default:
				return BySelf
			}
		}
	}
	if p.Addr.Impostor() {
		return ByOther
	}
	return NotInjected
}

// loops counts one more pass of a packet that goes on; true: it is one too many.
func (j *Injector) loops(p *divertdrv.Packet, now time.Time, injected bool) bool {
	h := p.Headers()
	if h.Version == 0 {
		return false
	}
	passes := j.origins.pass(j, p.Data, h, now, injected)
	if passes == 0 {
		return false
	}
	j.returned.Add(1)
	broken := passes >= LoopMax
	if broken {
		j.broken.Add(1)
	}
	if j.onLoop != nil && (passes == 1 || passes == LoopMax) {
		flow, _, _ := h.Flow(p.Data)
		j.onLoop(Loop{Flow: flow, Passes: passes, Broken: broken})
	}
	return broken
}

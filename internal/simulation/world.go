package simulation

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/fnv"
	"math/rand/v2"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/internal/clock"
)

// World is two hosts on one wire with faults, and one virtual clock: what the one sends the other receives. Each may have a
// processor over some handles, with a policy and callouts that the seed draws, and an injector beside it.
//
// The goroutine that runs the world is the only one that decides; readers wait at their gates, and all else is waited for. So a run
// follows from its seed alone.
type World struct {
	seed  uint64
	rng   *rand.Rand // of the scheduler; callouts draw from it too, one at a time
	clock *clock.Virtual
	sites [2]*site
	pipes [2]*simdrv.Pipe // to sites[i]

	number uint32
	log    hash.Hash64
	result WorldResult

	options Options
}

// WorldResult is what came of a world.
type WorldResult struct {
	Digest uint64
	Err    error // the first rule that was broken; nil: none
	Trace  []string
	Counts WorldCounts
}

// WorldCounts says what worlds came across.
type WorldCounts struct {
	Worlds, Steps, Sent, Left, Batches                             uint64
	Held, Parked, Deferred, DeferRefused, Panics, Inline, Injected uint64
	Refused, Deaths, Policies, WireFaults                          uint64
}

// Add adds o.
func (c *WorldCounts) Add(o WorldCounts) {
	for i, p := range c.all() {
		*p += *o.all()[i]
	}
}

func (c *WorldCounts) all() []*uint64 {
	return []*uint64{
		&c.Worlds, &c.Steps, &c.Sent, &c.Left, &c.Batches, &c.Held, &c.Parked, &c.Deferred, &c.DeferRefused, &c.Panics, &c.Inline,
		&c.Injected, &c.Refused, &c.Deaths, &c.Policies, &c.WireFaults,
	}
}

// Steps of the scheduler in one world.
const (
	stepsMin  = 60
	stepsSpan = 120
)

// RunWorld runs the world of a seed. An error is a rule that was broken, or that the world could not be built.
func RunWorld(seed uint64, o Options) WorldResult {
	w := &World{seed: seed, rng: rand.New(rand.NewPCG(seed, 0x776f726c)), clock: clock.NewVirtual(start), log: fnv.New64a(), options: o}
	w.result.Counts.Worlds = 1
	w.build()
	for range stepsMin + w.rng.IntN(stepsSpan) {
		if w.result.Err != nil {
			break
		}
		w.result.Counts.Steps++
		w.step()
		w.check()
	}
	w.finish()
	w.result.Digest = w.log.Sum64()
	return w.result
}

func (w *World) build() {
	settled := settling{w.clock, w.settle}
	for i := range w.sites {
		w.sites[i] = newSite(w, i, settled)
	}
	for i, s := range w.sites {
		w.pipes[i] = simdrv.NewPipe(simdrv.PipeConfig{
			Clock: settled, Delay: time.Millisecond, Faults: simdrv.Faults{
				Seed: w.seed + uint64(i), Drop: 0.03, Duplicate: 0.05, Reorder: 0.05, Delay: 0.1, Corrupt: 0.04, Truncate: 0.02,
				DelayMax: 30 * time.Millisecond,
			},
		}, s.arrive)
	}
	for _, s := range w.sites {
		s.start()
	}
}

// step is one decision of the scheduler.
func (w *World) step() {
	s := w.sites[w.rng.IntN(2)]
	switch n := w.rng.IntN(20); {
	case n < 6:
		s.send(1 + w.rng.IntN(6))
	case n < 13:
		w.read()
	case n < 16:
		w.advance(time.Duration(1+w.rng.IntN(40)) * time.Millisecond)
	case n < 17:
		s.injectBeside()
	case n < 18:
		s.releaseOne()
	case n < 19:
		s.swapPolicy()
	default:
		s.crash()
	}
}

// read lets one of the readers through that have something to read.
func (w *World) read() bool {
	var ready []*gateConn
	for _, s := range w.sites {
		for _, c := range s.gate.conns {
			if !c.ended && s.processor != nil && c.ready() {
				ready = append(ready, c)
			}
		}
	}
	if len(ready) == 0 {
		return false
	}
	w.result.Counts.Batches++
	ready[w.rng.IntN(len(ready))].pass()
	for _, s := range w.sites {
		s.join()
	}
	return true
}

// advance moves the clock; the calls that fall due settle each for itself.
func (w *World) advance(d time.Duration) { w.clock.Advance(d) }

// settle waits for what was deferred. Readers stand at their gates, so then nothing moves.
func (w *World) settle() {
	for _, s := range w.sites {
		if s != nil && s.running {
			if err := s.processor.Settle(context.Background()); err != nil {
				w.fail("settle: %v", err)
			}
		}
	}
}

// finish lets all that is under way come to its end, ends both hosts, and looks at the laws.
func (w *World) finish() {
	for w.moves() {
	}
	for _, s := range w.sites {
		s.sim.End()
	}
	for w.read() {
	}
	for _, s := range w.sites {
		if s.running {
			w.fail("%s: nothing can come any more, and a Recv waits", s.name)
			s.sim.Close()
		}
	}
	for w.read() {
	}
	for _, s := range w.sites {
		s.stop()
	}
	for _, p := range w.pipes {
		st := p.Stats()
		w.result.Counts.WireFaults += st.Dropped + st.Duplicated + st.Reordered + st.Corrupted + st.Truncated
		w.note("wire: %+v", st)
		if st.Sent+st.Duplicated != st.Delivered+st.Dropped+st.NoRoom+st.Refused || st.UnderWay != 0 {
			w.fail("the wire is not conserved: %+v", st)
		}
	}
}

// moves lets everything that can go on do so once; false: nothing could.
func (w *World) moves() (moved bool) {
	if w.clock.Pending() > w.ticks() {
		w.advance(time.Second)
		moved = true
	}
	for _, s := range w.sites {
		for s.releaseOne() {
			moved = true
		}
	}
	for w.read() {
		moved = true
	}
	return moved
}

// ticks is the number of calls that always wait: each processor that runs looks for idle flows again and again.
func (w *World) ticks() (n int) {
	for _, s := range w.sites {
		if s.running {
			n++
		}
	}
	return n
}

// check holds every handle to its law.
func (w *World) check() {
	for _, s := range w.sites {
		for _, h := range s.handles {
			st := h.Stats()
			if err := st.Conserved(); err != nil {
				w.fail("%s: %v", s.name, err)
			}
		}
	}
}

func (w *World) fail(format string, args ...any) {
	if w.result.Err == nil {
		w.result.Err = fmt.Errorf(format, args...)
	}
	w.note("BROKEN: "+format, args...)
}

// note is a line of the trace, and of the digest.
func (w *World) note(format string, args ...any) {
	line := fmt.Sprintf("%v "+format, append([]any{w.clock.Now().Sub(start)}, args...)...)
	_, _ = w.log.Write([]byte(line))
	if w.options.Trace {
		w.result.Trace = append(w.result.Trace, line)
	}
}

// saw notes a packet, all of it.
func (w *World) saw(what string, a *divertdrv.Address, data []byte) {
	b := a.Bytes()
	_, _ = w.log.Write(b[:])
	_, _ = w.log.Write(data)
	_, _ = w.log.Write(binary.LittleEndian.AppendUint64(nil, uint64(w.clock.Now().UnixNano())))
	if w.options.Trace {
		w.note("%s %s, %s", what, describe(a), title(data))
	}
}

func (w *World) next() uint32 { w.number++; return w.number }

// died says whether an error comes of a driver's death.
func died(err error) bool { return errors.Is(err, simdrv.ErrDied) }

package dpc

import (
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// machine is what random operations are applied to: the pool, stepped by hand, and the reference.
type machine interface {
	queue(dpc, arg, current int) bool // current: the processor whose routine queues; -1: none
	remove(dpc int) bool
	importance(dpc, importance int)
	target(dpc, processor int) bool
	threaded(dpc int, on bool)
	step(queue int)
	tick()
	flush()
	flushed() []bool // by flush: nothing that it waits for is left
	close()
	state() []int
}

type opKind uint8

const (
	opQueue opKind = iota
	opRemove
	opImportance
	opTarget
	opThreaded
	opStep
	opTick
	opFlush
	opClose
)

// op is one operation. Those with within are not done at once, but by the next run of DPC n, so that routines queue,
// remove, retarget and let other queues run at the same time.
type op struct {
	Kind   opKind
	N, Arg int
	Within []op
}

type world struct {
	Config Config
	DPCs   int
}

var worlds = rapid.Custom(func(t *rapid.T) world {
	return world{
		Config: Config{
			Queues:     rapid.IntRange(1, 3).Draw(t, "queues"),
			Depth:      rapid.IntRange(1, 8).Draw(t, "depth"),
			NoThreaded: rapid.Bool().Draw(t, "no threaded"),
		},
		DPCs: rapid.IntRange(1, 12).Draw(t, "DPCs"),
	}
})

var kinds = []opKind{
	opQueue, opQueue, opQueue, opQueue, opQueue, opQueue, opQueue, opQueue,
	opStep, opStep, opStep, opStep, opRemove, opRemove, opImportance, opTarget, opThreaded, opTick, opFlush,
}

// ops generates operations; nested ones only to the given depth, so every run ends.
func ops(nesting int) *rapid.Generator[op] {
	return rapid.Custom(func(t *rapid.T) op {
		o := op{
			Kind: rapid.SampledFrom(kinds).Draw(t, "kind"),
			N:    rapid.IntRange(0, 11).Draw(t, "n"),
			Arg:  rapid.IntRange(-1, 7).Draw(t, "arg"),
		}
		if nesting > 0 && rapid.IntRange(0, 7).Draw(t, "within") == 7 {
			o.Within = rapid.SliceOfN(ops(nesting-1), 1, 4).Draw(t, "ops")
		}
		return o
	})
}

// driver applies operations to one machine and notes all that can be seen from outside.
type driver struct {
	dpcs, queues int
	scripts      map[int][][]op // by DPC: what its next runs will do
	trace        []int
	applied      int
}

func (d *driver) apply(m machine, o op, current int) {
	d.applied++
	n, q := o.N%d.dpcs, o.N%d.queues
	if o.Within != nil {
		d.scripts[n] = append(d.scripts[n], o.Within)
		return
	}
	switch o.Kind {
	case opQueue:
		d.note(btoi(m.queue(n, o.Arg, current)))
	case opRemove:
		d.note(btoi(m.remove(n)))
	case opImportance:
		m.importance(n, (o.Arg+1)%4)
	case opTarget:
		d.note(btoi(m.target(n, o.Arg)))
	case opThreaded:
		m.threaded(n, o.Arg%2 == 0)
	case opStep:
		m.step(q)
	case opTick:
		m.tick()
	case opFlush:
		m.flush()
	case opClose:
		m.close()
	}
}

// run is the routine of every DPC.
func (d *driver) run(m machine, dpc, queue, arg int) {
	d.note(-1, dpc, queue, arg)
	script := d.scripts[dpc]
	if len(script) == 0 {
		return
	}
	d.scripts[dpc] = script[1:]
	for _, o := range script[0] {
		d.apply(m, o, queue%d.processors(m))
	}
	d.note(-2)
}

func (d *driver) processors(m machine) int {
	if r, ok := m.(*reference); ok {
		return r.processors
	}
	return m.(*stepped).p.Queues()
}

func (d *driver) note(v ...int) { d.trace = append(d.trace, v...) }

// stepped is the pool as a machine.
type stepped struct {
	p        *Pool
	dpcs     []*DPC
	barriers [][]*barrier
	calls    []Call // the routines that are running, innermost last
}

func newStepped(t rapid.TB, w world, run func(m machine, dpc, queue, arg int)) *stepped {
	cfg, err := w.Config.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	s := &stepped{p: newPool(cfg)}
	for i := range w.DPCs {
		s.dpcs = append(s.dpcs, NewFunc(func(c Call) {
			s.calls = append(s.calls, c)
			run(s, i, slices.Index(s.p.all, c.queue), c.Arg1.(int))
			s.calls = s.calls[:len(s.calls)-1]
		}))
		s.dpcs[i].join(s.p) // so that targets are checked against the pool from the start
	}
	return s
}

func (s *stepped) queue(dpc, arg, current int) bool {
	if current == noQueue {
		return s.p.Queue(s.dpcs[dpc], arg, nil)
	}
	return s.calls[len(s.calls)-1].Queue(s.dpcs[dpc], arg, nil)
}

func (s *stepped) remove(dpc int) bool            { return s.p.Remove(s.dpcs[dpc]) }
func (s *stepped) importance(dpc, importance int) { s.dpcs[dpc].SetImportance(Importance(importance)) }
func (s *stepped) target(dpc, processor int) bool { return s.dpcs[dpc].SetTarget(processor) }
func (s *stepped) threaded(dpc int, on bool)      { s.dpcs[dpc].SetThreaded(on) }
func (s *stepped) step(queue int)                 { s.p.all[queue].step() }
func (s *stepped) tick()                          { s.p.tick() }

func (s *stepped) flush() {
	var raised []*barrier
	for _, q := range s.p.all {
		if b := q.raise(); b != nil {
			raised = append(raised, b)
		}
	}
	s.barriers = append(s.barriers, raised)
}

func (s *stepped) flushed() (done []bool) {
	for _, flush := range s.barriers {
		all := true
		for _, b := range flush {
			select {
			case <-b.done:
			default:
				all = false
			}
		}
		done = append(done, all)
	}
	return done
}

func (s *stepped) close() {
	for _, q := range s.p.all {
		q.close()
	}
}

func (s *stepped) state() (v []int) {
	for _, q := range s.p.all {
		st := q.stats()
		v = append(v, st.Waiting, btoi(q.requested), st.Running, st.Rate, st.DepthLimit, int(st.Queued), int(st.Ran),
			int(st.Removed), int(st.RefusedQueued), int(st.RefusedFull), int(st.RefusedClosed))
		for d := q.head; d != nil; d = d.next {
			v = append(v, slices.Index(s.dpcs, d), d.arg1.(int))
		}
	}
	return v
}

// TestAgainstReference applies the same random operations to the pool and to the reference and compares, after each, the
// results, the order of runs, the lists, the drain requests, the adapted limits, the counters, and which flushes are over.
func TestAgainstReference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := worlds.Draw(t, "world")
		compare(t, w, rapid.SliceOfN(ops(2), 1000, 1000).Draw(t, "operations"))
	})
}

// TestManyAgainstReference is the same with operations that are cheaper to draw, and that do not shrink: WEIR_LONG=1 makes it a million.
func TestManyAgainstReference(t *testing.T) {
	atLeast, seed := 50_000, rand.Uint64()
	if long {
		atLeast = 1_000_000
	}
	t.Logf("seed %#x", seed)
	r, total := rand.New(rand.NewPCG(seed, 0)), 0
	for total < atLeast {
		w := world{
			Config: Config{Queues: 1 + r.IntN(3), Depth: 1 + r.IntN(8), NoThreaded: r.IntN(2) == 0},
			DPCs:   1 + r.IntN(12),
		}
		list := make([]op, 5000)
		for i := range list {
			list[i] = randomOp(r, 2)
		}
		total += compare(t, w, list)
	}
	t.Logf("%d operations", total)
}

// randomOp is what ops draws.
func randomOp(r *rand.Rand, nesting int) op {
	o := op{Kind: kinds[r.IntN(len(kinds))], N: r.IntN(12), Arg: r.IntN(9) - 1}
	if nesting > 0 && r.IntN(8) == 0 {
		for range 1 + r.IntN(4) {
			o.Within = append(o.Within, randomOp(r, nesting-1))
		}
	}
	return o
}

func compare(t rapid.TB, w world, list []op) int {
	t.Helper()
	real, ref := &driver{scripts: map[int][][]op{}}, &driver{scripts: map[int][][]op{}}
	s := newStepped(t, w, real.run)
	var homes []int
	for _, d := range s.dpcs {
		homes = append(homes, int(d.number%uint64(w.Config.Queues)))
	}
	r := newReference(w.Config, homes, ref.run)
	for _, d := range []*driver{real, ref} {
		d.dpcs, d.queues = w.DPCs, len(s.p.all)
	}
	for i, o := range append(list, finale(len(s.p.all))...) {
		real.apply(s, o, noQueue)
		ref.apply(r, o, noQueue)
		if !slices.Equal(real.trace, ref.trace) {
			t.Fatalf("operation %d, %+v:\nran  %v\nwant %v", i, o, real.trace, ref.trace)
		}
		if got, want := s.state(), r.state(); !slices.Equal(got, want) {
			t.Fatalf("operation %d, %+v:\nstate %v\nwant  %v", i, o, got, want)
		}
		if got, want := s.flushed(), r.flushed(); !slices.Equal(got, want) {
			t.Fatalf("operation %d, %+v:\nflushed %v\nwant    %v", i, o, got, want)
		}
		real.trace, ref.trace = real.trace[:0], ref.trace[:0]
	}
	if slices.Contains(s.flushed(), false) {
		t.Fatal("a flush is not over, though all has run")
	}
	return real.applied
}

// finale closes the pool and runs what is left.
func finale(queues int) []op {
	end := []op{{Kind: opClose}, {Kind: opQueue}, {Kind: opFlush}}
	for q := range queues {
		end = append(end, op{Kind: opStep, N: q})
	}
	return end
}

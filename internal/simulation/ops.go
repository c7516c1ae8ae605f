package simulation

import (
	"math/rand/v2"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
)

// do runs one operation on both sides.
func (r *runner) do(op Op) {
	d := op.rng()
	switch op.Kind {
	case opOpen:
		r.open(d)
	case opTraffic:
		r.traffic(d)
	case opFragments:
		r.pieces(d)
	case opRecv:
		r.recvBatch(d)
	case opComplete:
		r.completeBatch(d)
	case opRelease:
		r.releaseHeld(d)
	case opInject:
		r.injectSome(d)
	case opParam:
		r.params(d)
	case opAdvance:
		r.advance([]time.Duration{time.Millisecond, 20 * time.Millisecond, 90 * time.Millisecond, 200 * time.Millisecond, 3 * time.Second}[d.IntN(5)])
	case opShutdown:
		r.shutdownOne(d)
	case opClose:
		if h := pick(d, r.handles, func(h *handle) bool { return !h.closed }); h != nil {
			r.closeOne(h)
		}
	case opDie:
		r.crash(d)
	case opSocket:
		r.socketCall(d)
	case opEnd:
		if d.IntN(3) == 0 {
			r.note("  no more traffic")
			r.sim.End()
			r.end()
		}
	case opCloseHost:
		if d.IntN(3) == 0 {
			r.closeHost()
		}
	}
}

// pick draws one of those that ok accepts; the zero value: there is none.
func pick[T any](d *rand.Rand, all []T, ok func(T) bool) (one T) {
	n := 0
	for _, x := range all {
		if ok(x) {
			if n++; d.IntN(n) == 0 {
				one = x
			}
		}
	}
	return one
}

// mostly picks an open handle, now and then a closed one.
func (r *runner) mostly(d *rand.Rand) *handle {
	any := d.IntN(12) == 0
	return pick(d, r.handles, func(h *handle) bool { return any || !h.closed })
}

// advance lets time pass. What falls due in it tells the model by itself: arrive, and the holds' AfterRelease.
func (r *runner) advance(by time.Duration) {
	r.note("  by %v", by)
	r.clock.Advance(by)
	for _, h := range r.handles {
		for _, x := range h.held {
			if !x.deadline.IsZero() && !x.deadline.After(r.now()) {
				r.fail("hold %d of handle %d was to end at %v, and did not by %v", x.number, h.number, x.deadline.Sub(start), r.now().Sub(start))
			}
		}
	}
}

func (r *runner) shutdownOne(d *rand.Rand) {
	h := r.mostly(d)
	if h == nil || r.dead {
		return
	}
	how := divertdrv.Shutdown(d.IntN(5))
	r.note("  handle %d: %d", h.number, how)
	var want error
	switch {
	case how < divertdrv.ShutdownRecv || how > divertdrv.ShutdownBoth:
		want = divertdrv.ErrInvalid
	case !h.closed:
		h.shutdown(how)
	}
	r.agree("shutdown", h.real.Shutdown(how), want)
}

func (r *runner) closeOne(h *handle) {
	r.note("  handle %d", h.number)
	h.closed = true
	err := h.real.Close() // held packets tell by themselves
	if len(h.held) > 0 {
		r.fail("handle %d is closed and holds %d packets", h.number, len(h.held))
	}
	r.leaveDriver(h)
	r.agree("close", err, nil)
	r.agree("close again", h.real.Close(), nil)
}

func (r *runner) crash(d *rand.Rand) {
	if r.dead || d.IntN(3) > 0 {
		return
	}
	r.note("  the driver crashes")
	r.result.Counts.Deaths++
	r.killed = true
	r.faulty.Die()
	r.die()
}

func (r *runner) closeHost() {
	r.note("  the host")
	r.sim.Close()
	r.close()
}

func (r *runner) params(d *rand.Rand) {
	h := r.mostly(d)
	if h == nil || r.dead {
		return
	}
	p := divertdrv.Param(d.IntN(6))
	lo, hi, _, ok := p.Range()
	v := []uint64{lo, lo + 1, hi, lo - 1, hi + 1}[d.IntN(5)]
	var want error
	switch {
	case !ok || v < lo || v > hi:
		want = divertdrv.ErrInvalid
	case h.gone:
		want = divertdrv.ErrClosed
	default:
		h.limit[p] = v
	}
	r.note("  handle %d: parameter %d = %d", h.number, p, v)
	r.agree("set param", h.real.SetParam(p, v), want)
	got, err := h.real.Param(p)
	switch {
	case h.gone:
		r.agree("param", err, divertdrv.ErrClosed)
	case p > addr.VersionMinor:
		r.agree("param", err, divertdrv.ErrUnsupported)
	case p >= addr.VersionMajor:
		r.agree("param", err, nil)
	case err != nil || got != h.limit[p]:
		r.fail("parameter %d is %d (%v), want %d", p, got, err, h.limit[p])
	}
}

// finish ends what is under way and looks at the law of the whole host.
func (r *runner) finish() {
	for _, h := range r.handles {
		for len(h.batches) > 0 && r.result.Err == nil {
			r.completeOne(h, h.batches[0])
		}
	}
	r.advance(time.Minute)
	r.check()
	for _, h := range r.handles {
		if !h.closed && r.result.Err == nil {
			r.closeOne(h)
			r.check()
		}
	}
	if r.result.Err == nil {
		r.closeHost()
		r.check()
		r.law()
	}
	if n := r.clock.Pending(); n > 0 {
		r.fail("%d calls wait for the clock after the end", n)
	}
	r.tally()
}

// law: all that walked is somewhere. What a handle passed and the wire refused is dropped, and refused.
func (r *runner) law() {
	st := r.sim.Stats()
	in := st.Entered + st.Wholes + r.refusedInjected
	out := st.Left + st.Refused + st.Fragments - r.refusedPassed
	for _, h := range r.handles {
		of := h.real.Stats()
		in += of.Completed
		if !h.is(divertdrv.Sniff) && !h.ofEvents() {
			out += of.DroppedTotal() + of.Lost + of.Held + of.InBatch
		}
	}
	if in != out {
		r.fail("%d packets walked, %d are accounted for", in, out)
	}
}

func (r *runner) tally() {
	c := &r.result.Counts
	for _, h := range r.handles {
		st := h.real.Stats()
		_, _ = r.log.Write([]byte(counts(&st)))
		c.Handles++
		c.Received += st.Received
		c.Passed += st.Passed
		c.Dropped += st.DroppedTotal()
		c.Injected += st.Injected
		c.Failed += st.Failed
		c.Lost += st.Lost
		c.Held += uint64(r.holds)
	}
	c.Wholes += r.sim.Stats().Wholes
	c.Refused += r.sim.Stats().Refused
	st := r.pipe.Stats()
	c.WireFaults += st.Dropped + st.Duplicated + st.Reordered + st.Corrupted + st.Truncated + st.Delayed
}

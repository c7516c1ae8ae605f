package processor

import (
	"errors"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/wire"
)

// A callout that knows enough of a flow judges it: its later packets are permitted, and stay in the kernel where the driver can
// leave them there (divertdrv.Handle.Judge). Nobody here sees them: no filter, no callout, no counter.
//
//	received ──Judge, and the packet passes as it came──▶ judged ──┬─ its end, silence
//	    ▲                                                          ├─ a packet that is held, deferred for, changed or dropped
//	    └──────────────────── recalled ────────────────────────────┴─ a new policy, callouts that come and go

// Why a flow cannot be judged; divertdrv.ErrUnsupported: the handle cannot leave flows to the kernel (Caps.CutThrough), and
// divertdrv.ErrJudgedFull: there are too many.
var (
	ErrJudgeNoFlow  = errors.New("only whole packets of TCP and UDP flows that are remembered can have their flow judged")
	ErrJudgeOpening = errors.New("the connection is not open: its handshake, or its end, must be seen")
	ErrJudgeEdited  = errors.New("packets of the flow are changed, so all of them must be")
	ErrJudgeWaiting = errors.New("packets of the flow wait behind held or deferred ones")
)

// judgeAgain is how long a flow that was judged and whose packets are received all the same is not judged again: they are those
// that were under way, or the end of one direction.
const judgeAgain = int64(time.Second)

// Judging is a callout that calls Classification.Judge: who opens handles for a policy that names it opens them with
// divertdrv.Options.CutThrough. See Policy.Judges.
type Judging interface {
	Callout
	Judges()
}

// Judges says whether a callout of the policy judges flows.
func (p *Policy) Judges() bool {
	for _, c := range p.Callouts() {
		if _, ok := c.(Judging); ok {
			return true
		}
	}
	return false
}

// Judge leaves the flow's later packets, of both directions, to the kernel, if this one passes, unchanged, when all filters have
// been asked. An error says why that cannot be; it is no fault, and may be otherwise for the next packet.
func (c *Classification) Judge() error {
	if !c.open {
		return ErrScopeClosed
	}
	f, w := c.Flow, c.k.w
	switch h := c.Headers(); {
	case !w.cuts:
		return divertdrv.ErrUnsupported
	case f == nil, f.flags&flowUntold != 0, h.Transport != wire.TCP && h.Transport != wire.UDP, !forALE(h, c.Packet.Data):
		return ErrJudgeNoFlow
	case f.state != flowOpen:
		return ErrJudgeOpening
	case f.flags&flowEdited != 0 || c.Packet.Changed():
		return ErrJudgeEdited
	case f.pending.Load() > 0 || c.k.batch == nil || c.index == inNoBatch:
		return ErrJudgeWaiting
	case c.k.now < w.fullUntil:
		return divertdrv.ErrJudgedFull
	}
	c.judge = true
	return nil
}

// Judged says whether the flow was left to the kernel. Some of its packets come all the same.
func (f *Flow) Judged() bool { return f.flags&flowJudged != 0 }

// cutThrough leaves the packet's flow to the kernel, or takes it back, by what became of the packet.
func (w *worker) cutThrough(f *Flow, p *divertdrv.Packet, r *result) {
	plain := r.pass && f.pending.Load() == 0
	if plain && p.Changed() {
		f.flags |= flowEdited
		plain = false
	}
	switch {
	case !plain && f.Judged():
		w.recall(f)
	case plain && w.c.judge && f.state == flowOpen:
		w.leave(f)
	}
}

func (w *worker) leave(f *Flow) {
	if f.Judged() && f.era == uint32(w.era) && w.now-f.judgedAt < judgeAgain {
		return
	}
	if w.h.Judge(f.key, w.era) != nil { // no room, or the handle is about to end
		w.counts.judgeRefused.Add(1)
		w.fullUntil = w.now + judgeAgain
		return
	}
	f.flags |= flowJudged
	f.judgedAt, f.era = w.now, uint32(w.era)
	w.counts.judged.Add(1)
}

// recall takes a flow back. That fails only for a handle that is broken, and whose flows end with it.
func (w *worker) recall(f *Flow) {
	f.flags &^= flowJudged
	_ = w.h.Recall(f.key)
}

// recallAll takes all flows back, so that what was put into force decides about their next packets. Judgements of batches that were
// begun before have no effect: their workers read the era before.
func (p *Processor) recallAll() {
	for _, h := range p.handles {
		_ = h.RecallAll() // the same
	}
}

package dpc

// The values by which drains are paced. Microsoft calls them system-defined and publishes none: these are the ReactOS
// values (MaximumDpcQueueDepth, MinimumDpcRate, IdealDpcRate, AdjustDpcThreshold). Rates are requests per tick.
const (
	depthLimitMax = 4
	rateMin       = 3
	rateIdeal     = 20
	calmTicks     = 20
)

// drainNow is the drain rule of "Organization of DPC Queues": whether inserting a DPC has its queue drained now; if not,
// it waits for another reason or the tick. own says that the queue is the current processor's; depth counts the DPC
// itself. Microsoft's words are "exceeds" and "is less than"; ReactOS drains at depth == depthLimit already.
func drainNow(own bool, i Importance, depth, depthLimit, rate int) bool {
	if depth > depthLimit {
		return true
	}
	if own {
		return i != Low || rate < rateMin
	}
	return i >= MediumHigh
}

// pacing adapts the drain rule to the load, once per tick.
type pacing struct {
	depthLimit int // 1 to depthLimitMax
	rate       int // requests per tick, each tick half new and half old
	calm       int // ticks to go until depthLimit rises again
}

func newPacing() pacing { return pacing{depthLimit: depthLimitMax, calm: calmTicks} }

// next is the state after a tick, and whether the tick asks for a drain. arrived counts the DPCs inserted since the last
// tick, waiting those still queued; busy says that a drain runs or is asked for.
//
// DPCs that were left for the tick were left too long: if requests are rarer than the ideal, the depth limit falls, so
// that the next drain starts sooner. After calmTicks ticks that found nothing waiting it rises again.
func (p pacing) next(arrived, waiting int, busy bool) (after pacing, drain bool) {
	p.rate = (p.rate + arrived) / 2
	if waiting > 0 && !busy {
		p.calm = calmTicks
		if p.rate < rateIdeal && p.depthLimit > 1 {
			p.depthLimit--
		}
		return p, true
	}
	if p.calm--; p.calm == 0 {
		p.calm = calmTicks
		p.depthLimit = min(p.depthLimit+1, depthLimitMax)
	}
	return p, false
}

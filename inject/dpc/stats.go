package dpc

// Counters of one queue, or of all together. At any moment, and for each queue:
//
//	Queued = Ran + Removed + Waiting + Running
type Counters struct {
	Queued  uint64 // admitted
	Ran     uint64 // finished, also by panic
	Removed uint64 // taken out before they ran

	RefusedQueued uint64 // was queued already, here or elsewhere
	RefusedFull   uint64 // Config.Depth reached
	RefusedClosed uint64 // after Close

	Panics  uint64 // routines that panicked or ended their goroutine; counted in Ran too
	Reports uint64 // of every Kind, also without OnReport

	Waiting   int // queued now
	Running   int // routines running now
	HighWater int // the most that have waited at once in one queue; at most Config.Depth
}

// QueueStats adds the state of the drain rule.
type QueueStats struct {
	Counters
	DepthLimit int // a drain starts above; 1 to 4
	Rate       int // requests per tick, averaged
}

// Stats is a snapshot. Each queue's counters are of one moment; the queues are read one after another.
type Stats struct {
	Counters                    // the sums; HighWater: the highest
	RefusedMisuse  uint64       // ErrTarget and ErrOtherPool
	Queues         []QueueStats // by number
	ThreadedQueues []QueueStats // by number; empty with Config.NoThreaded
}

// Stats allocates; it is for once a second, not for each packet.
func (p *Pool) Stats() Stats {
	s := Stats{RefusedMisuse: p.misused.Load()}
	for _, q := range p.all {
		qs := q.stats()
		s.add(qs.Counters)
		if q.threaded {
			s.ThreadedQueues = append(s.ThreadedQueues, qs)
		} else {
			s.Queues = append(s.Queues, qs)
		}
	}
	return s
}

func (q *queue) stats() QueueStats {
	q.mu.Lock()
	defer q.mu.Unlock()
	s := QueueStats{Counters: q.count, DepthLimit: q.pacing.depthLimit, Rate: q.pacing.rate}
	s.Waiting = q.waiting
	if q.draining {
		s.Running = 1
	}
	return s
}

func (c *Counters) add(o Counters) {
	c.Queued += o.Queued
	c.Ran += o.Ran
	c.Removed += o.Removed
	c.RefusedQueued += o.RefusedQueued
	c.RefusedFull += o.RefusedFull
	c.RefusedClosed += o.RefusedClosed
	c.Panics += o.Panics
	c.Reports += o.Reports
	c.Waiting += o.Waiting
	c.Running += o.Running
	c.HighWater = max(c.HighWater, o.HighWater)
}

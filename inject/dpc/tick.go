package dpc

import "time"

// keepTime ticks until the last worker has ended.
func (p *Pool) keepTime(ticks <-chan time.Time, period time.Duration) {
	defer close(p.done)
	if ticks == nil {
		t := time.NewTicker(period)
		defer t.Stop()
		ticks = t.C
	}
	for {
		select {
		case _, ok := <-ticks:
			if !ok {
				ticks = nil // the owner's clock has ended
				continue
			}
			p.tick()
		case <-p.idle:
			return
		}
	}
}

func (p *Pool) tick() {
	now := p.now()
	for _, q := range p.all {
		if reports := q.tick(now); reports != nil {
			p.deliver(reports)
		}
	}
}

// tick adapts the drain rule, asks for the drain of what was left waiting, and checks what is running.
func (q *queue) tick(now int64) []Report {
	q.mu.Lock()
	defer q.mu.Unlock()
	var drain bool
	q.pacing, drain = q.pacing.next(q.arrived, q.waiting, q.draining || q.requested)
	q.arrived = 0
	if drain {
		q.request()
	}
	return q.checkRunning(now)
}

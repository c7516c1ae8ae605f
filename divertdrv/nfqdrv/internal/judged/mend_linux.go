package judged

import (
	"sync"
	"sync/atomic"
)

// A packet that was counted and then lost by the kernel's queue leaves its place with more diverted than completed: judged flows
// there would be diverted for ever. Which packets were lost nobody knows, only that some were. So from time to time the counts of
// what was diverted are copied; when all packets that were queued by then have gone on, what is still missing was lost.
//
//	open ──Suspect──▶ copied, after a grace period the last id is known ──Done: all up to it are out──▶ mended
//
// What came meanwhile makes the gap look smaller, never larger, so nothing is taken for lost that is on its way; a place that is
// never quiet is mended by the next try, or the one after.
type mender struct {
	waiting atomic.Bool
	until   atomic.Uint32 // the id; valid iff waiting

	mu     sync.Mutex // guards all below
	copies []gap
	last   [Places]count // as of the look before
}

type gap struct {
	place    uint16
	diverted uint32
}

// Stuck says that some place has had packets under way since the last call and nothing came and went there.
func (t *Table) Stuck() (stuck bool) {
	m := &t.mender
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.last {
		now := t.read(uint16(i))
		stuck = stuck || now == m.last[i] && now.diverted != now.completed
		m.last[i] = now
	}
	return stuck
}

func (t *Table) read(place uint16) count {
	c := t.at(place)
	return count{atomic.LoadUint32(&c.diverted), atomic.LoadUint32(&c.completed)}
}

// Suspect is called, by one goroutine at a time, when packets may have been lost. settled waits until what was counted is queued, and returns the id of the
// packet that was queued last.
func (t *Table) Suspect(settled func() (id uint32, known bool)) {
	m := &t.mender
	m.waiting.Store(false)
	var copies []gap
	for i := range uint16(Places) {
		if now := t.read(i); now.diverted != now.completed {
			copies = append(copies, gap{i, now.diverted})
		}
	}
	id, known := settled()
	if !known || len(copies) == 0 {
		return
	}
	m.mu.Lock()
	m.copies = copies
	m.mu.Unlock()
	m.until.Store(id)
	m.waiting.Store(true)
}

// Mend does what Done does, for when no packets come.
func (t *Table) Mend() {
	if t.mender.waiting.Load() && t.ledger.quiet(t.mender.until.Load()) {
		t.mend()
	}
}

// mend counts as completed what is missing of the copied numbers.
func (t *Table) mend() {
	t.life.RLock()
	defer t.life.RUnlock()
	if t.closed {
		return
	}
	m := &t.mender
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.waiting.Swap(false) {
		return
	}
	for _, g := range m.copies {
		c := t.at(g.place)
		if missing := int32(g.diverted - atomic.LoadUint32(&c.completed)); missing > 0 {
			atomic.AddUint32(&c.completed, uint32(missing))
		}
	}
}

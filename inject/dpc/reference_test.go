package dpc

// reference is a naive model of DPC queues, to compare the pool with. It shares no code with it: slices for lists, a
// table for the drain rule, a set of call numbers for a flush; and one goroutine, so nothing is locked.
type reference struct {
	processors, depth int
	threadedQueues    bool

	queues  []*refQueue // first the ordinary ones, then the threaded ones
	dpcs    []*refDPC
	closed  bool
	serial  int
	flushes []map[int]bool // by flush: serial numbers of the calls it still waits for
	run     func(m machine, dpc, queue, arg int)
}

type refQueue struct {
	list                  []refCall
	current               int // serial of the call that runs; 0: none
	asked                 bool
	rate, news, max, calm int
	queued, ran, removed  int
	already, full, shut   int
}

type refCall struct{ dpc, arg, serial int }

type refDPC struct {
	importance, target, home int
	threaded                 bool
}

func newReference(cfg Config, homes []int, run func(m machine, dpc, queue, arg int)) *reference {
	r := &reference{processors: cfg.Queues, depth: cfg.Depth, threadedQueues: !cfg.NoThreaded, run: run}
	count := cfg.Queues
	if r.threadedQueues {
		count *= 2
	}
	for range count {
		r.queues = append(r.queues, &refQueue{max: 4, calm: 20})
	}
	for _, home := range homes {
		r.dpcs = append(r.dpcs, &refDPC{importance: 1, target: -1, home: home})
	}
	return r
}

func (r *reference) queue(dpc, arg, current int) bool {
	d := r.dpcs[dpc]
	processor, own := d.target, d.target == current && current >= 0
	if d.target < 0 {
		processor, own = current, true
		if current < 0 {
			processor = d.home
		}
	}
	threaded := d.threaded && r.threadedQueues
	q := r.queues[processor]
	if threaded {
		q = r.queues[processor+r.processors]
	}
	switch {
	case r.find(dpc) != nil:
		q.already++
		return false
	case r.closed:
		q.shut++
		return false
	case len(q.list) == r.depth:
		q.full++
		return false
	}
	r.serial++
	call := refCall{dpc, arg, r.serial}
	if d.importance == 3 {
		q.list = append([]refCall{call}, q.list...)
	} else {
		q.list = append(q.list, call)
	}
	q.queued++
	q.news++
	if q.current == 0 && (threaded || r.rule(q, own, d.importance)) {
		q.asked = true
	}
	return true
}

// rule is the drain rule as a table: '+' now, '-' not now, 'r' now if requests are rare; by own or other, Low to High.
func (r *reference) rule(q *refQueue, own bool, importance int) bool {
	table := map[bool]string{true: "r+++", false: "--++"}
	deep := len(q.list) > q.max
	switch table[own][importance] {
	case '+':
		return true
	case 'r':
		return deep || q.rate < 3
	default:
		return deep
	}
}

func (r *reference) find(dpc int) *refQueue {
	for _, q := range r.queues {
		for _, c := range q.list {
			if c.dpc == dpc {
				return q
			}
		}
	}
	return nil
}

func (r *reference) remove(dpc int) bool {
	q := r.find(dpc)
	if q == nil {
		return false
	}
	for i, c := range q.list {
		if c.dpc == dpc {
			q.list = append(append([]refCall{}, q.list[:i]...), q.list[i+1:]...)
			q.removed++
			r.over(c.serial)
			return true
		}
	}
	return false
}

func (r *reference) importance(dpc, importance int) { r.dpcs[dpc].importance = importance }

func (r *reference) target(dpc, processor int) bool {
	if processor < 0 || processor >= r.processors {
		return false
	}
	r.dpcs[dpc].target = processor
	return true
}

func (r *reference) threaded(dpc int, on bool) { r.dpcs[dpc].threaded = on }

func (r *reference) step(queue int) {
	q := r.queues[queue]
	if !q.asked || q.current != 0 {
		return
	}
	q.asked = false
	for len(q.list) > 0 {
		c := q.list[0]
		q.list = q.list[1:]
		q.current = c.serial
		r.run(r, c.dpc, queue, c.arg)
		q.ran++
		r.over(c.serial)
	}
	q.current = 0
}

func (r *reference) tick() {
	for _, q := range r.queues {
		q.rate = (q.rate + q.news) >> 1
		q.news = 0
		if len(q.list) != 0 && q.current == 0 && !q.asked {
			q.asked = true
			q.calm = 20
			if q.rate < 20 && q.max > 1 {
				q.max--
			}
			continue
		}
		q.calm--
		if q.calm == 0 {
			q.calm = 20
			if q.max < 4 {
				q.max++
			}
		}
	}
}

func (r *reference) flush() {
	waits := map[int]bool{}
	for _, q := range r.queues {
		for _, c := range q.list {
			waits[c.serial] = true
		}
		if q.current != 0 {
			waits[q.current] = true
		}
		if len(q.list) > 0 && q.current == 0 {
			q.asked = true
		}
	}
	r.flushes = append(r.flushes, waits)
}

func (r *reference) flushed() (done []bool) {
	for _, f := range r.flushes {
		done = append(done, len(f) == 0)
	}
	return done
}

func (r *reference) over(serial int) {
	for _, f := range r.flushes {
		delete(f, serial)
	}
}

func (r *reference) close() { r.closed = true }

func (r *reference) state() (s []int) {
	for _, q := range r.queues {
		s = append(s, len(q.list), btoi(q.asked), btoi(q.current != 0), q.rate, q.max,
			q.queued, q.ran, q.removed, q.already, q.full, q.shut)
		for _, c := range q.list {
			s = append(s, c.dpc, c.arg)
		}
	}
	return s
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

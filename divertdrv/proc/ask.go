package proc

import "github.com/weirnet/weir/internal/clock"

// question waits for the owner of a connection.
type question struct {
	key     Key
	inbound bool
	asked   uint64 // number of the first look that may answer it
	answer  func(Process, bool)
	timer   clock.Timer
}

// Ask calls answer with the owner of a connection, exactly once: at once in the caller's goroutine if it is known, or if it cannot
// be by waiting; else from whoever learns it, or when the deadline has passed or the table is closed: then with false. It is called
// without a lock, and must not block. Whoever asks for a packet holds it until then.
func (t *Table) Ask(k Key, inbound bool, answer func(Process, bool)) {
	t.mu.Lock()
	t.stats.Asked++
	p, found := t.find(k)
	switch {
	case found || t.ended || inbound && t.opts.System == nil:
		t.settle(p, found)
	case t.stats.Waiting >= uint64(t.opts.Waiting):
		t.stats.Refused++
		t.settle(p, false)
	default:
		t.stats.Waiting++
		t.wait(&question{key: k, inbound: inbound, answer: answer})
		t.mu.Unlock()
		return
	}
	t.mu.Unlock()
	answer(p, p.Known())
}

// settle counts an answer.
func (t *Table) settle(p Process, found bool) {
	switch {
	case p.Known():
		t.stats.Attributed++
	default:
		t.stats.Unattributed++
		if found {
			t.stats.Shared++
		}
	}
}

func (t *Table) wait(q *question) {
	q.asked = t.look.next()
	t.waiting[q.key] = append(t.waiting[q.key], q)
	q.timer = t.opts.Clock.AfterFunc(t.opts.Deadline, func() { t.expire(q) })
	t.wantLook()
}

// expire answers a question whose time is over.
func (t *Table) expire(q *question) {
	t.mu.Lock()
	call := t.take(q, Process{}, false)
	t.mu.Unlock()
	run(call)
}

// take removes a question that waits and makes its answer; nothing if somebody was faster.
func (t *Table) take(q *question, p Process, found bool) (calls []func()) {
	list := t.waiting[q.key]
	for i, x := range list {
		if x != q {
			continue
		}
		if list = append(list[:i:i], list[i+1:]...); len(list) == 0 {
			delete(t.waiting, q.key)
		} else {
			t.waiting[q.key] = list
		}
		q.timer.Stop()
		t.stats.Waiting--
		t.settle(p, found)
		return []func(){func() { q.answer(p, p.Known()) }}
	}
	return nil
}

// answer makes the answers that what was learnt of a key gives: to those who asked for it, or for a connection of that socket.
func (t *Table) answer(k Key) (calls []func()) {
	if k.Remote.Port != 0 || k.Remote.Hi|k.Remote.Lo != 0 {
		return t.answerAll(t.waiting[k])
	}
	for w, list := range t.waiting {
		for _, b := range w.bound() {
			if b == k {
				calls = append(calls, t.answerAll(list)...)
				break
			}
		}
	}
	return calls
}

func (t *Table) answerAll(list []*question) (calls []func()) {
	for _, q := range append([]*question(nil), list...) {
		if p, found := t.find(q.key); found {
			calls = append(calls, t.take(q, p, true)...)
		}
	}
	return calls
}

func run(calls []func()) {
	for _, f := range calls {
		f()
	}
}

// Close answers what waits, with false, and forgets everything. It waits for a look that is under way.
func (t *Table) Close() {
	t.mu.Lock()
	t.ended = true
	if t.look.timer != nil {
		t.look.timer.Stop()
	}
	var calls []func()
	for _, list := range t.waiting {
		for _, q := range append([]*question(nil), list...) {
			calls = append(calls, t.take(q, Process{}, false)...)
		}
	}
	clear(t.entries)
	clear(t.endpoints)
	t.live.Init()
	t.closed.Init()
	t.mu.Unlock()
	run(calls)
	t.look.running.Lock()
	defer t.look.running.Unlock()
}

package flows

// list holds flows by the time of their last packet.
type list struct{ oldest, newest *flow }

func (l *list) push(f *flow) {
	f.prev, f.next = l.newest, nil
	if l.newest == nil {
		l.oldest = f
	} else {
		l.newest.next = f
	}
	l.newest = f
}

func (l *list) remove(f *flow) {
	if f.prev == nil {
		l.oldest = f.next
	} else {
		f.prev.next = f.next
	}
	if f.next == nil {
		l.newest = f.prev
	} else {
		f.next.prev = f.prev
	}
	f.prev, f.next = nil, nil
}

// file puts a flow into the list of a class, out of that where it is.
func (t *Table) file(f *flow, c class) {
	if f.prev != nil || t.lists[f.class].oldest == f {
		t.lists[f.class].remove(f)
	}
	f.class = c
	t.lists[c].push(f)
	t.due = min(t.due, f.seen+idle[c])
}

// touch notes the time of a packet.
func (t *Table) touch(f *flow, now int64) {
	f.seen = now
	l := &t.lists[f.class]
	if l.newest != f {
		l.remove(f)
		l.push(f)
	}
}

// Due is the earliest time at which Expire may have something to do, in nanoseconds as for See; Never: there is none.
func (t *Table) Due() int64 { return t.due }

// Expire ends the flows that were silent for too long at time now.
func (t *Table) Expire(now int64) {
	t.due = Never
	for c := range t.lists {
		for f := t.lists[c].oldest; f != nil; f = t.lists[c].oldest {
			if due := f.seen + idle[c]; due > now {
				t.due = min(t.due, due)
				break
			}
			t.end(f, now)
		}
	}
}

// EndOf ends the flows of an endpoint but those of TCP, which end by their own packets.
func (t *Table) EndOf(endpoint uint64, now int64) {
	for _, c := range []class{udp, other} {
		for f := t.lists[c].oldest; f != nil; {
			next := f.next
			if f.about.EndpointID == endpoint {
				t.end(f, now)
			}
			f = next
		}
	}
}

// evict ends the flow that was silent longest, of the least valuable class that has one.
func (t *Table) evict(now int64) {
	for c := range t.lists {
		if f := t.lists[c].oldest; f != nil {
			t.evicted++
			t.end(f, now)
			return
		}
	}
}

package frag

// place finds where f belongs: behind the piece after, nil if it comes first. Held means that it fits there; all other outcomes
// but Duplicate condemn the packet.
func (r *Reassembler) place(p *packet, f *fragment) (after *piece, o Outcome) {
	switch {
	case contradicts(p, f):
		return nil, Overlap
	case tooLong(p, f):
		return nil, TooLong
	}
	for after = p.last; after != nil && after.off >= f.end; { // fragments mostly come in order, so from the end
		after = after.prev
	}
	if after != nil && after.end > f.off {
		if after.off == f.off && after.holds(f.data()) {
			return nil, Duplicate
		}
		return nil, Overlap
	}
	if p.pieces >= r.cfg.Pieces {
		return nil, TooManyPieces
	}
	return after, Held
}

// contradicts says that f and what is here do not agree on where the packet ends. A piece with more to follow lies before the
// end, or ends there and still wants more.
func contradicts(p *packet, f *fragment) bool {
	switch {
	case f.more:
		return p.total != 0 && f.end >= p.total
	case p.total != 0:
		return f.end != p.total
	}
	return p.last != nil && p.last.end >= f.end
}

// tooLong says that the whole cannot be: f alone could, but only the first fragment tells how long the headers are.
func tooLong(p *packet, f *fragment) bool {
	fixed, end := p.fixed(), f.end
	if f.off == 0 {
		fixed = f.fixed
	}
	if p.last != nil {
		end = max(end, p.last.end)
	}
	return fixed+end > maxTotal
}

// keep copies f to its place, behind after. What is older has to make room; there is always enough for p alone, see Config.Bytes.
func (r *Reassembler) keep(p *packet, after *piece, f *fragment, token uint64) *piece {
	b, start := f.data(), uint32(0)
	if f.off == 0 { // the headers of the whole are those of the first fragment
		b, start = f.bytes, f.start
	}
	for !r.store.hasRoom(len(b)) {
		r.forget(r.waiting.oldestBut(p), EvictedBytes, nil)
	}
	at := r.store.put(b)
	at.start, at.off, at.end, at.token = start, f.off, f.end, token
	p.insert(at, after)
	p.pieces++
	p.have += f.end - f.off
	p.ecn |= f.ecn
	p.largest = max(p.largest, uint32(len(f.bytes)))
	if !f.more {
		p.total = f.end
	}
	r.count.waiting.Add(1)
	r.count.bytes.Store(int64(r.store.used * cellSize))
	return at
}

func (p *packet) insert(at, after *piece) {
	at.prev = after
	if after == nil {
		at.next, p.first = p.first, at
	} else {
		at.next, after.next = after.next, at
	}
	if at.next == nil {
		p.last = at
	} else {
		at.next.prev = at
	}
}

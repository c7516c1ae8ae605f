package stream

import "unsafe"

// pageBytes is a page with its header: a segment of Ethernet size fits into one.
const pageBytes = 2048

// page is bytes that wait.
type page struct {
	next *page
	seq  uint32
	n    uint32
	data [pageBytes - 16]byte
}

const _ = uint(pageBytes-unsafe.Sizeof(page{})) + uint(unsafe.Sizeof(page{})-pageBytes)

func (p *page) bytes() []byte { return p.data[:p.n] }

// end is the number behind the page's last byte.
func (p *page) end() uint32 { return p.seq + p.n }

// pages are taken from the system once, and used again.
type pages struct {
	free *page
	left int // that may still be taken from the system
}

// take returns nil when there are no more.
func (ps *pages) take() *page {
	p := ps.free
	switch {
	case p != nil:
		ps.free = p.next
	case ps.left > 0:
		ps.left--
		p = new(page)
	}
	return p
}

func (ps *pages) give(p *page) {
	p.next, ps.free = ps.free, p
}

// keep has bytes wait that are ahead of a gap. Where there is no room, the gap before what waits longest in the direction is given up.
func (a *Assembler) keep(c *conn, d Direction, seq uint32, b []byte, now int64) {
	h := &c.halves[d]
	if h.first == nil {
		h.since = now
	}
	for at := a.place(h, seq); len(b) > 0; {
		p := *at
		if p == nil || int32(seq-p.seq) < 0 {
			n := len(b)
			if p != nil {
				n = min(n, int(p.seq-seq))
			}
			q := a.pageFor(h)
			if q == nil {
				a.makeRoom(c, d, seq, b, now)
				return
			}
			n = copy(q.data[:], b[:n])
			q.seq, q.n, q.next = seq, uint32(n), p
			*at = q
			if at = &q.next; p == nil {
				h.last = q
			}
			h.kept++
			a.stats.Waiting += uint64(n)
			b, seq = b[n:], seq+uint32(n)
			continue
		}
		if ours := int32(p.end() - seq); ours > 0 {
			n := min(len(b), int(ours))
			a.compare(b[:n], p.bytes()[seq-p.seq:])
			a.stats.Repeated += uint64(n)
			b, seq = b[n:], seq+uint32(n)
		}
		at = &p.next
	}
}

// place returns where to begin looking: mostly behind all that waits.
func (a *Assembler) place(h *half, seq uint32) **page {
	if h.last != nil && int32(seq-h.last.end()) >= 0 {
		return &h.last.next
	}
	return &h.first
}

func (a *Assembler) pageFor(h *half) *page {
	if h.kept >= max(a.cfg.Each/pageBytes, 1) {
		return nil
	}
	return a.pages.take()
}

// makeRoom gives up a gap, and reads on with bytes that found no room.
func (a *Assembler) makeRoom(c *conn, d Direction, seq uint32, b []byte, now int64) {
	h := &c.halves[d]
	if h.first == nil { // others have all pages
		h.lost += seq - h.next
		h.next = seq
	} else {
		a.skip(c, d, now)
	}
	a.payload(c, d, seq, &segment{payload: b}, now)
}

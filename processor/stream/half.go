package stream

import (
	"bytes"

	"github.com/weirnet/weir/divertdrv/wire"
)

// window is how far from the next byte a segment may be. It is more than a connection has under way, and little of what there is of
// numbers, so that one who guesses is mostly wrong.
const window = 16 << 20

// half is one direction of a connection.
type half struct {
	next  uint32 // the number of the next byte
	finAt uint32 // valid iff fin: the number behind the last byte
	lost  uint32 // bytes before next that will not come, and that the reader has not been told of
	known bool   // next is valid
	began bool   // a byte was handed on
	fin   bool
	done  bool  // nothing more is read
	since int64 // valid iff gap(): since when it is open

	first, last *page // what waits: in order, without overlaps; first is ahead of next
	kept        int   // pages
}

// segment is what a packet says.
type segment struct {
	seq     uint32
	flags   wire.TCPFlags
	payload []byte
	missing uint32 // bytes of the payload that are not here, behind those that are: a capture cut them off
}

// segment reads one segment; false: it has no place in the connection.
func (a *Assembler) segment(c *conn, d Direction, s *segment, now int64) bool {
	h := &c.halves[d]
	seq := s.seq
	if s.flags&wire.SYN != 0 {
		seq++
		if !h.opens(seq) {
			return false
		}
	}
	if s.flags&wire.RST != 0 {
		if h.known && s.seq-h.next > window {
			return false
		}
		a.stats.Unread += uint64(len(s.payload)) // a RST may say why (RFC 9293, 3.5.3); it is no part of the stream
		a.end(c, Reset)
		return true
	}
	if !h.known {
		if len(s.payload) == 0 && s.missing == 0 && s.flags&wire.FIN == 0 {
			return true // a keepalive has the number of the byte before
		}
		h.next, h.known = seq, true
	}
	if ahead := int32(seq - h.next); ahead > window || ahead < -window {
		return false
	}
	if s.flags&wire.FIN != 0 && !h.fin {
		if !h.gap() {
			h.since = now
		}
		h.fin, h.finAt = true, seq+uint32(len(s.payload))+s.missing
	}
	a.payload(c, d, seq, s, now)
	if h.over() {
		a.forget(h)
	}
	return true
}

// gap says whether something is known of what comes behind bytes that did not come.
func (h *half) gap() bool { return h.first != nil || h.fin && !h.done }

// over says whether all before the FIN was read.
func (h *half) over() bool { return h.fin && int32(h.next-h.finAt) >= 0 }

// opens says whether a SYN whose first byte has that number is the direction's, or a repetition of it.
func (h *half) opens(first uint32) bool {
	if !h.known || !h.began && h.first == nil {
		h.next, h.known = first, true
		return true
	}
	return int32(h.next-first) >= 0 && h.next-first <= window
}

// payload hands on what is next, and keeps what is ahead.
func (a *Assembler) payload(c *conn, d Direction, seq uint32, s *segment, now int64) {
	h, b := &c.halves[d], s.payload
	if h.done {
		a.stats.Unread += uint64(len(b))
		return
	}
	if old := int32(h.next - seq); old > 0 {
		n := min(int(old), len(b))
		a.stats.Repeated += uint64(n)
		b, seq = b[n:], seq+uint32(n)
	}
	switch {
	case len(b) == 0 && s.missing == 0:
	case seq != h.next:
		if len(b) > 0 {
			a.keep(c, d, seq, b, now)
		}
	default:
		a.inOrder(c, d, b)
		if s.missing > 0 && !h.done {
			h.next += s.missing
			h.lost += s.missing
		}
		a.drain(c, d, now)
	}
}

// inOrder hands on bytes that are next. What waits may overlap with them, and came before: it stands.
func (a *Assembler) inOrder(c *conn, d Direction, b []byte) {
	h := &c.halves[d]
	for p := h.first; p != nil && len(b) > 0 && !h.done; p = h.first {
		gap := int(p.seq - h.next)
		if gap >= len(b) {
			break
		}
		a.deliver(c, d, b[:gap])
		b = b[gap:]
		if h.done {
			break
		}
		a.compare(b, p.bytes())
		n := min(len(b), len(p.bytes()))
		a.stats.Repeated += uint64(n)
		b = b[n:]
		a.handOn(c, d)
	}
	if h.done {
		a.stats.Unread += uint64(len(b))
		return
	}
	a.deliver(c, d, b)
}

// compare counts how many bytes that came again are others than those that wait.
func (a *Assembler) compare(again, kept []byte) {
	n := min(len(again), len(kept))
	if bytes.Equal(again[:n], kept[:n]) {
		return
	}
	for i := range n {
		if again[i] != kept[i] {
			a.stats.Conflicts++
		}
	}
}

// deliver gives bytes to the reader.
func (a *Assembler) deliver(c *conn, d Direction, b []byte) {
	if len(b) == 0 {
		return
	}
	h := &c.halves[d]
	lost := h.lost
	h.next, h.lost, h.began = h.next+uint32(len(b)), 0, true
	a.stats.Delivered += uint64(len(b))
	a.stats.Lost += uint64(lost)
	if !c.reader.Data(d, lost, b) || h.over() {
		a.forget(h)
	}
}

// drain hands on what waited for the bytes before it.
func (a *Assembler) drain(c *conn, d Direction, now int64) {
	h := &c.halves[d]
	for h.first != nil && int32(h.first.seq-h.next) <= 0 {
		a.handOn(c, d)
	}
	if h.gap() {
		h.since = now // another one
	}
}

// handOn gives the first page that waits to the reader; what of it is old already has come twice.
func (a *Assembler) handOn(c *conn, d Direction) {
	h := &c.halves[d]
	p := h.first
	if h.first = p.next; h.first == nil {
		h.last = nil
	}
	h.kept--
	b := p.bytes()
	a.stats.Waiting -= uint64(len(b))
	if old := int32(h.next - p.seq); old > 0 {
		n := min(int(old), len(b))
		a.stats.Repeated += uint64(n)
		b = b[n:]
	}
	a.deliver(c, d, b)
	a.pages.give(p)
}

// skip gives up the gap before what waits, or before the FIN.
func (a *Assembler) skip(c *conn, d Direction, now int64) {
	h := &c.halves[d]
	if h.first == nil {
		a.stats.Lost += uint64(h.finAt - h.next)
		a.forget(h)
		return
	}
	h.lost += h.first.seq - h.next
	h.next = h.first.seq
	a.drain(c, d, now)
}

// giveUp hands on all that waits.
func (a *Assembler) giveUp(c *conn, d Direction) {
	for h := &c.halves[d]; h.first != nil; {
		a.skip(c, d, 0)
	}
}

// forget ends a direction. What waits is not read.
func (a *Assembler) forget(h *half) {
	h.done = true
	for p := h.first; p != nil; {
		next := p.next
		a.stats.Waiting -= uint64(len(p.bytes()))
		a.stats.Unread += uint64(len(p.bytes()))
		a.pages.give(p)
		p = next
	}
	h.first, h.last, h.kept = nil, nil, 0
}

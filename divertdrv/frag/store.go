package frag

// Fragments are kept in cells of one size, so that memory cannot fall to pieces and an attacker's tiny fragment costs little
// more than it weighs. Cells are allocated in slabs, as needed and up to the limit, and used again.
const (
	cellSize = 256
	cellLen  = cellSize - 8 // but for the pointer
	slabLen  = 64           // cells: 16 KiB
)

type cell struct {
	next *cell
	data [cellLen]byte
}

// piece is a fragment that waits.
type piece struct {
	prev, next *piece // by offset
	cells      *cell
	stored     uint32 // bytes in cells: the data, and of the first fragment the headers before it
	start      uint32 // of the data in cells
	off, end   uint32 // of the data in the packet
	token      uint64
}

// store is the memory of a Reassembler.
type store struct {
	cells  *cell  // free ones
	pieces *piece // free ones, linked by next
	used   int    // cells that hold bytes
	made   int    // cells that exist
	limit  int    // of cells
}

func cellsFor(n int) int { return (n + cellLen - 1) / cellLen }

// hasRoom says whether n bytes can be put.
func (s *store) hasRoom(n int) bool { return s.used+cellsFor(n) <= s.limit }

// put copies b, for which there is room, and returns the piece without its place.
func (s *store) put(b []byte) *piece {
	p := s.pieces
	if p == nil {
		p = new(piece)
	}
	s.pieces = p.next
	*p = piece{stored: uint32(len(b))}
	for at := &p.cells; len(b) > 0; at = &(*at).next {
		c := s.take()
		b = b[copy(c.data[:], b):]
		*at = c
	}
	return p
}

func (s *store) take() *cell {
	if s.cells == nil {
		slab := make([]cell, min(slabLen, s.limit-s.made))
		s.made += len(slab)
		for i := range slab {
			slab[i].next, s.cells = s.cells, &slab[i]
		}
	}
	c := s.cells
	s.cells, c.next = c.next, nil
	s.used++
	return c
}

// free takes the piece back.
func (s *store) free(p *piece) {
	for c := p.cells; c != nil; {
		next := c.next
		c.next, s.cells = s.cells, c
		c = next
		s.used--
	}
	p.cells, p.prev = nil, nil
	p.next, s.pieces = s.pieces, p
}

// read copies the bytes of the piece to dst, as many as fit, and returns their number.
func (p *piece) read(dst []byte) (n int) {
	dst = dst[:min(len(dst), int(p.stored))]
	for c := p.cells; n < len(dst); c = c.next {
		n += copy(dst[n:], c.data[:])
	}
	return n
}

// holds says whether the data of the piece is b.
func (p *piece) holds(b []byte) bool {
	if int(p.stored-p.start) != len(b) {
		return false
	}
	for c, from := p.cells, p.start; len(b) > 0; c = c.next {
		if from < cellLen {
			n := min(cellLen-int(from), len(b))
			if string(c.data[from:int(from)+n]) != string(b[:n]) {
				return false
			}
			b = b[n:]
		}
		from -= min(from, cellLen)
	}
	return true
}

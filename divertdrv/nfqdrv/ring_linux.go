package nfqdrv

import "github.com/weirnet/weir/divertdrv"

// ring keeps packets in their order: what is known of them in one ring, their bytes in another. Both grow by doubling to what was
// needed at once, and are kept; whoever pushes sets the bounds. The zero value is empty.
type ring struct {
	entries []entry
	first   int // the oldest entry
	n       int // entries in use

	bytes []byte
	tail  int // where the next packet goes, if it fits there in one piece
}

// entry is one packet that waits.
type entry struct {
	addr   divertdrv.Address
	since  int64 // nanoseconds of a clock that does not jump
	token  token
	off, n int // its place in ring.bytes
}

// Where rings start.
const (
	entriesMin = 64
	bytesMin   = 128 << 10
)

// push adds a copy of a packet.
func (r *ring) push(a *divertdrv.Address, data []byte, since int64, t token) {
	if r.n == len(r.entries) {
		next := make([]entry, max(2*r.n, entriesMin))
		for i := range r.n {
			next[i] = *r.at(i)
		}
		r.entries, r.first = next, 0
	}
	off := r.place(len(data))
	copy(r.bytes[off:], data)
	r.n++
	*r.at(r.n - 1) = entry{*a, since, t, off, len(data)}
}

// at is the entry with i older ones.
func (r *ring) at(i int) *entry { return &r.entries[(r.first+i)%len(r.entries)] }

// oldest is the first entry; the ring must not be empty.
func (r *ring) oldest() *entry { return r.at(0) }

// data is what an entry's packet consists of, valid until the next push.
func (r *ring) data(e *entry) []byte { return r.bytes[e.off : e.off+e.n : e.off+e.n] }

// pop takes the oldest entry out.
func (r *ring) pop() {
	r.first = (r.first + 1) % len(r.entries)
	r.n--
}

// place finds room for one packet. What is in use runs from the oldest entry to the tail, around the end of the ring or not; head
// and tail never meet while anything is in use.
func (r *ring) place(size int) (off int) {
	head := 0
	if r.n > 0 {
		head = r.oldest().off
	} else {
		r.tail = 0
	}
	switch wraps := r.n > 0 && r.tail <= head; {
	case !wraps && len(r.bytes)-r.tail >= size:
	case !wraps && head > size:
		r.tail = 0
	case wraps && head-r.tail > size:
	default:
		r.grow(size)
	}
	off = r.tail
	r.tail += size
	return off
}

// grow moves everything to the start of a larger ring.
func (r *ring) grow(size int) {
	next := make([]byte, max(2*len(r.bytes), bytesMin, 2*size))
	tail := 0
	for i := range r.n {
		e := r.at(i)
		copy(next[tail:], r.data(e))
		e.off = tail
		tail += e.n
	}
	r.bytes, r.tail = next, tail
}

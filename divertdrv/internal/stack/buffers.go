package stack

import "github.com/weirnet/weir/divertdrv"

// fifo keeps packets in the order they came, their bytes in one ring and what is known of them in another. Both grow by
// doubling to what was needed at once, and are kept; whoever pushes sets the bounds. The zero value is empty.
type fifo struct {
	entries []entry // a ring; its length is a power of two
	first   int     // the oldest entry
	n       int     // entries in use

	bytes []byte // a ring, but each packet is in one piece
	tail  int    // where the next packet goes if it fits there
}

// entry is one packet that waits.
type entry struct {
	addr   divertdrv.Address
	since  int64 // nanoseconds, Stack.now
	off, n int   // its place in fifo.bytes
	token  token
}

// Where rings start: enough for a batch of full Ethernet frames.
const (
	entriesMin = 64
	bytesMin   = 128 << 10
	ringAlign  = 8 // copies of aligned packets are faster
)

// push adds a copy of a packet.
func (f *fifo) push(a *divertdrv.Address, data []byte, since int64, t token) {
	if f.n == len(f.entries) {
		f.growEntries()
	}
	off := f.place((len(data) + ringAlign - 1) &^ (ringAlign - 1))
	copy(f.bytes[off:], data)
	e := &f.entries[(f.first+f.n)&(len(f.entries)-1)]
	e.addr, e.since, e.off, e.n, e.token = *a, since, off, len(data), t
	f.n++
}

// oldest returns the first packet; both results are valid until the next push. The fifo must not be empty.
func (f *fifo) oldest() (*entry, []byte) {
	e := &f.entries[f.first]
	return e, f.bytes[e.off : e.off+e.n : e.off+e.n]
}

// pop takes the oldest packet out.
func (f *fifo) pop() {
	f.first = (f.first + 1) & (len(f.entries) - 1)
	f.n--
}

// place finds size bytes in one piece and moves the tail behind them.
//
//	head ≤ tail: [ free | head…tail | free ]     tail < head: [ …tail | free | head… ]
func (f *fifo) place(size int) (off int) {
	head := 0
	if f.n == 0 {
		f.tail = 0
	} else {
		head = f.entries[f.first].off
	}
	switch {
	case f.tail >= head && len(f.bytes)-f.tail >= size: // behind the tail
	case f.tail >= head && head > size: // at the start; never up to head, or full would look like empty
		f.tail = 0
	case f.tail < head && head-f.tail > size: // in the gap
	default:
		f.growBytes(size)
	}
	off = f.tail
	f.tail += size
	return off
}

// growBytes moves everything to the start of a ring that has room for at least size more.
func (f *fifo) growBytes(size int) {
	next := make([]byte, max(2*len(f.bytes), bytesMin, 2*size))
	tail := 0
	for i := range f.n {
		e := &f.entries[(f.first+i)&(len(f.entries)-1)]
		copy(next[tail:], f.bytes[e.off:e.off+e.n])
		e.off = tail
		tail += (e.n + ringAlign - 1) &^ (ringAlign - 1)
	}
	f.bytes, f.tail = next, tail
}

func (f *fifo) growEntries() {
	next := make([]entry, max(2*len(f.entries), entriesMin))
	n := copy(next, f.entries[f.first:])
	copy(next[n:], f.entries[:f.first])
	f.entries, f.first = next, 0
}

package tap

import (
	"sync"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/processor"
)

// kind says which record of a packet it is.
type kind uint8

const (
	seen   kind = iota // as the tap was shown it
	judged             // as it was when its verdict was known
)

// entry is one record, without its bytes.
type entry struct {
	id       uint64
	time     int64 // nanoseconds since the Unix epoch
	took     int64 // of judged: nanoseconds since the packet was seen
	length   int   // of the packet
	kept     int   // of its bytes
	filter   string
	kind     kind
	outbound bool
	layer    processor.Layer
	cause    divertdrv.Cause
	fate     processor.Fate // of judged
}

// chunk is records and, one behind the other, their bytes. It never grows.
type chunk struct {
	entries []entry
	data    []byte
}

func newChunk(entries, bytes int) *chunk {
	return &chunk{entries: make([]entry, 0, entries), data: make([]byte, 0, bytes)}
}

func (k *chunk) reset() {
	k.entries, k.data = k.entries[:0], k.data[:0]
}

// queue has two chunks: one is filled by workers while the other is written. The lock is held for one copy of a packet or for
// the exchange of the two, never while a file is written.
type queue struct {
	wake chan struct{} // has one element when there are records that the writer has not been told of

	mu     sync.Mutex // guards all below
	fill   *chunk     // nil: never opened, or closed and empty
	closed bool
}

// perRecord is the room that a record has on average, in bytes: a packet of Ethernet size.
const perRecord = 2048

// open makes room for so many records of up to snap bytes, and returns the chunk that the writer begins with.
func (q *queue) open(records, snap int) *chunk {
	bytes := max(records*min(snap, perRecord), divertdrv.MTUMax)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.wake = make(chan struct{}, 1)
	q.fill, q.closed = newChunk(records, bytes), false
	return newChunk(records, bytes)
}

// add puts a record at the end; false: there is no room, or the queue is closed.
func (q *queue) add(e *entry, data []byte) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	k := q.fill
	if k == nil || q.closed || len(k.entries) == cap(k.entries) || len(k.data)+len(data) > cap(k.data) {
		return false
	}
	e.kept = len(data)
	k.entries = append(k.entries, *e)
	k.data = append(k.data, data...)
	select {
	case q.wake <- struct{}{}:
	default: // the writer has been told, and will take all
	}
	return true
}

// take waits for records and gives an empty chunk for the one that has them; more is false with what was left by close.
func (q *queue) take(empty *chunk) (full *chunk, more bool) {
	<-q.wake
	q.mu.Lock()
	defer q.mu.Unlock()
	full, q.fill = q.fill, empty
	if q.closed {
		q.fill = nil
	}
	return full, !q.closed
}

// close refuses further records. take gives what is left.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	close(q.wake)
}

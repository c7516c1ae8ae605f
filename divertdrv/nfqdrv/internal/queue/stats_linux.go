package queue

import (
	"bytes"
	"strconv"
)

// Stats are what the kernel counted for the queue since it was opened, and what it said of verdicts.
type Stats struct {
	Waiting  uint64 // packets that wait for a verdict now
	LastID   uint64 // of the packet that was queued last, 0 for none
	Full     uint64 // lost, since Config.Length packets waited
	NoMemory uint64 // lost, since the socket's memory was used up

	LateAccepts uint64 // packets that were lost in the kernel before their accept came: a device went away, or a base chain did
	LateDrops   uint64 // the same before their drop came
	Odd         uint64 // messages that make no sense
}

// Stats returns a snapshot. known is false where the kernel's table cannot be read; see Counted.
func (q *Queue) Stats() (s Stats, known bool) {
	s.LateAccepts, s.LateDrops, s.Odd = q.late[seqAccept].Load(), q.late[seqDrop].Load(), q.odd.Load()
	f, known := q.row(q.number)
	if known {
		s.Waiting, s.LastID, s.Full, s.NoMemory = f[columnWaiting], f[columnLastID], f[columnFull], f[columnNoMemory]
	}
	return s, known
}

// Columns of /proc/net/netfilter/nfnetlink_queue.
const (
	columnNumber   = 0
	columnPort     = 1
	columnWaiting  = 2
	columnFull     = 5
	columnNoMemory = 6
	columnLastID   = 7
	columns        = 9
)

func (q *Queue) row(number uint16) (f [columns]uint64, found bool) {
	if q.books == nil {
		return f, false
	}
	b := make([]byte, 0, 4096)
	for {
		n, err := q.books.ReadAt(b[len(b):cap(b)], int64(len(b)))
		b = b[:len(b)+n]
		if err != nil || n == 0 {
			return findRow(b, number)
		}
		if len(b) == cap(b) {
			b = append(make([]byte, 0, 2*cap(b)), b...)
		}
	}
}

// findRow reads the line of a queue in the kernel's table.
func findRow(table []byte, number uint16) (f [columns]uint64, found bool) {
	for line := range bytes.Lines(table) {
		words := bytes.Fields(line)
		if len(words) < columns {
			continue
		}
		for i := range f {
			if i == columnPort {
				continue // may be printed with a minus sign
			}
			v, err := strconv.ParseUint(string(words[i]), 10, 64)
			if err != nil {
				return f, false
			}
			f[i] = v
		}
		if f[columnNumber] == uint64(number) {
			return f, true
		}
	}
	return f, false
}

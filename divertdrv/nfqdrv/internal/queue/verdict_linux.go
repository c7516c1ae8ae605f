package queue

import (
	"encoding/binary"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Numbers of requests: an error of the kernel names the request by it, so they say what it was.
const (
	seqAccept uint32 = iota
	seqDrop
	seqs // how many kinds of verdicts there are
	seqConfig
	seqWake
)

const (
	typeVerdict = subsystem | 1
	attrVerdict = 2 // struct nfqnl_msg_verdict_hdr

	verdictDrop   = 0
	verdictAccept = 1

	verdictLen = headerLen + familyLen + attrLen + 8 // without payload
)

// Bounds of one Flush.
const (
	verdictsMax = 256
	flushBytes  = sendMemory / 4
)

// Verdicts gathers verdicts for a Queue and sends them together. One goroutine uses it at a time.
type Verdicts struct {
	q       *Queue
	heads   []byte // never grows: vectors point into it
	vectors []unix.Iovec
	msg     unix.Msghdr
	n       int // verdicts
	bytes   int
	opened  bool // the last vector is of heads and may grow
}

// NewVerdicts returns an empty one.
func (q *Queue) NewVerdicts() *Verdicts {
	return &Verdicts{
		q:       q,
		heads:   make([]byte, 0, verdictsMax*(verdictLen+attrLen+len(padding))),
		vectors: make([]unix.Iovec, 0, 2*verdictsMax+1),
	}
}

// Accept lets a packet go on as it is, past the queue's rule.
func (v *Verdicts) Accept(id uint32) error { return v.add(id, verdictAccept, seqAccept, nil) }

// Drop ends a packet.
func (v *Verdicts) Drop(id uint32) error { return v.add(id, verdictDrop, seqDrop, nil) }

// Verdict is Accept or Drop.
func (v *Verdicts) Verdict(id uint32, accept bool) error {
	if accept {
		return v.Accept(id)
	}
	return v.Drop(id)
}

// Replace lets a packet go on with other bytes, 1 to MaxPayload, which must stay as they are until Flush returns. The kernel takes
// their checksums as final, whatever was owed before.
func (v *Verdicts) Replace(id uint32, data []byte) error {
	if len(data) == 0 || len(data) > MaxPayload {
		return fmt.Errorf("a verdict cannot carry %d bytes, only 1 to %d", len(data), MaxPayload)
	}
	return v.add(id, verdictAccept, seqAccept, data)
}

// add appends one verdict, and sends what was gathered when there is no more room.
func (v *Verdicts) add(id, verdict, seq uint32, data []byte) error {
	var err error
	if v.n == verdictsMax || v.bytes+len(data) > flushBytes {
		err = v.Flush()
	}
	start := len(v.heads)
	b := begin(v.heads, typeVerdict, flagRequest, seq, v.q.number)
	b = attrHead(b, attrVerdict, 8)
	b = binary.BigEndian.AppendUint32(b, verdict)
	b = binary.BigEndian.AppendUint32(b, id)
	total := len(b) - start
	if data != nil {
		b = attrHead(b, attrPayload, len(data))
		total += attrLen + len(data) + pad(len(data))
	}
	binary.NativeEndian.PutUint32(b[start:], uint32(total))
	v.head(b)
	if data != nil {
		v.vector(data)
		v.opened = false
		if n := pad(len(data)); n > 0 {
			v.head(append(v.heads, padding[:n]...))
		}
	}
	v.n++
	v.bytes += total
	return err
}

// head takes heads grown by some bytes, which the last vector covers or a new one.
func (v *Verdicts) head(b []byte) {
	start := len(v.heads)
	v.heads = b
	if v.opened {
		last := &v.vectors[len(v.vectors)-1]
		last.SetLen(int(last.Len) + len(b) - start)
		return
	}
	v.vector(b[start:])
	v.opened = true
}

func (v *Verdicts) vector(b []byte) {
	v.vectors = append(v.vectors, unix.Iovec{Base: &b[0]})
	v.vectors[len(v.vectors)-1].SetLen(len(b))
}

// Len is the number of verdicts that were not sent yet.
func (v *Verdicts) Len() int { return v.n }

// busyTries bounds how often Flush tries again where the kernel has no memory for the moment, a millisecond apart.
const busyTries = 10

// Flush sends what was gathered. After an error none of it holds, and the packets wait in the kernel until the queue is closed.
func (v *Verdicts) Flush() error {
	if v.n == 0 {
		return nil
	}
	defer v.reset()
	for busy := 0; ; {
		switch errno := v.send(); errno {
		case 0:
			return nil
		case unix.EINTR:
		case unix.ENOBUFS, unix.ENOMEM:
			if busy++; busy >= busyTries {
				return fmt.Errorf("send %d verdicts to queue %d: %w", v.n, v.q.number, errno)
			}
			time.Sleep(time.Millisecond)
		default:
			return fmt.Errorf("send %d verdicts to queue %d: %w", v.n, v.q.number, errno)
		}
	}
}

// send asks the kernel once. It carries out all at once and never waits, so Go's scheduler is not told; see doze.
func (v *Verdicts) send() (errno unix.Errno) {
	if len(v.vectors) == 1 { // no payload: nothing but its bytes for the kernel to fetch
		_, _, errno = unix.RawSyscall6(unix.SYS_SENDTO, uintptr(v.q.fd), uintptr(unsafe.Pointer(&v.heads[0])), uintptr(len(v.heads)), 0, 0, 0)
		return errno
	}
	v.msg.Iov = &v.vectors[0]
	v.msg.SetIovlen(len(v.vectors))
	_, _, errno = unix.RawSyscall(unix.SYS_SENDMSG, uintptr(v.q.fd), uintptr(unsafe.Pointer(&v.msg)), 0)
	return errno
}

func (v *Verdicts) reset() {
	clear(v.vectors) // payloads are not kept from the collector
	v.heads, v.vectors, v.n, v.bytes, v.opened = v.heads[:0], v.vectors[:0], 0, 0, false
}

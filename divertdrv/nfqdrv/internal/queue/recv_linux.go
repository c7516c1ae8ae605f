package queue

import (
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// slotLen is room for any message of the queue: the largest payload and the other attributes, which take some 100 bytes.
const slotLen = 66 << 10

// mmsghdr is struct mmsghdr.
type mmsghdr struct {
	msg unix.Msghdr
	n   uint32
}

// in is the receiving side; one goroutine uses it at a time. The kernel writes to its memory during Recv only.
type in struct {
	memory  []byte // one slot for each message
	vectors []unix.Iovec
	msgs    []mmsghdr
	next, n int // messages that were received and not read yet: next to n
	poll    [1]unix.PollFd
}

func (in *in) init(fd, batch int) {
	in.poll[0] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
	in.memory = make([]byte, batch*slotLen) // the system gives pages as they are first used
	in.vectors = make([]unix.Iovec, batch)
	in.msgs = make([]mmsghdr, batch)
	for i := range in.msgs {
		in.vectors[i].Base = &in.memory[i*slotLen]
		in.vectors[i].SetLen(slotLen)
		in.msgs[i].msg.Iov = &in.vectors[i]
		in.msgs[i].msg.SetIovlen(1)
	}
}

// Wait says how long a Recv waits.
type Wait uint8

// The ways to wait.
const (
	NoWait Wait = iota // not at all
	Doze               // a tenth of a second at most, see doze; not at all where others doze
	Block              // until there is a message; Wake is one
)

// Recv reads messages that wait; those of the Recv before must all have been read by Next. It returns whether there were any: with
// Block always, but for what Wake sent there may be no packet among them.
func (q *Queue) Recv(w Wait) (bool, error) {
	q.in.next, q.in.n = 0, 0
	for {
		if q.closed.Load() {
			return false, ErrClosed
		}
		n, errno := q.wait(w)
		switch {
		case errno == 0:
			q.in.n = n
			return true, nil
		case errno == unix.EAGAIN && w != Block, errno == unix.EINTR && w == Doze:
			return false, nil
		case errno == unix.EAGAIN, errno == unix.EINTR, errno == unix.ENOBUFS: // the kernel counted what it lost
		default:
			return false, fmt.Errorf("recvmmsg: %w", errno)
		}
	}
}

// A doze is up to dozes sleeps of dozeTime each. The kernel rounds that up to one or two of its ticks, so a sleep is 1 to 20 ms.
const (
	dozeTime = time.Microsecond
	dozes    = 12
)

// dozing counts the dozes of all queues.
var dozing atomic.Int32

// doze waits for a while without telling Go's scheduler.
//
// A thread that blocks and says so has its place in the scheduler taken away within tens of microseconds, by a thread that is woken for
// it, and has to find a new one when a packet comes: that costs several times what the packet does. So while packets come it sleeps
// unannounced. One place is left for other goroutines; where there is only one, they get it before each sleep, and may wait for it as
// long as that takes. The collector ends a sleep by its signal.
func (q *Queue) doze() (n int, errno unix.Errno) {
	places := int32(runtime.GOMAXPROCS(0))
	defer dozing.Add(-1)
	if dozing.Add(1) > max(places-1, 1) {
		return 0, unix.EAGAIN
	}
	for range dozes {
		if places == 1 {
			runtime.Gosched()
		}
		n, errno = q.receive(unix.MSG_WAITFORONE) // the socket's time limit is dozeTime
		if errno != unix.EAGAIN && errno != unix.EINTR || q.closed.Load() {
			break
		}
	}
	return n, errno
}

// wait asks the kernel once.
func (q *Queue) wait(w Wait) (int, unix.Errno) {
	switch w {
	case NoWait:
	case Doze:
		return q.doze()
	case Block:
		if _, err := unix.Poll(q.in.poll[:], -1); err != nil {
			return 0, err.(unix.Errno) //nolint:errorlint // it is what a system call returned
		}
	}
	return q.receive(unix.MSG_DONTWAIT)
}

func (q *Queue) receive(flags uintptr) (int, unix.Errno) {
	n, _, errno := unix.RawSyscall6(unix.SYS_RECVMMSG, uintptr(q.fd), uintptr(unsafe.Pointer(&q.in.msgs[0])), uintptr(len(q.in.msgs)), flags, 0, 0)
	return int(n), errno
}

// Next reads the next packet that Recv received, in the kernel's order; false: there are no more.
func (q *Queue) Next(p *Packet) bool {
	var a answer
	for q.in.next < q.in.n {
		i := q.in.next
		q.in.next++
		switch read(q.in.memory[i*slotLen:i*slotLen+int(min(q.in.msgs[i].n, slotLen))], p, &a) {
		case aPacket:
			return true
		case anAnswer:
			q.answered(a)
		case malformed, other:
			q.odd.Add(1)
		}
	}
	return false
}

// Received is how many messages the last Recv read; full: as many as it could, so that more may wait.
func (q *Queue) Received() (n int, full bool) { return q.in.n, q.in.n == len(q.in.msgs) }

// Pending says whether Next has something to read.
func (q *Queue) Pending() bool { return q.in.next < q.in.n }

// answered books an answer of the kernel.
func (q *Queue) answered(a answer) {
	switch {
	case a.seq == seqWake && a.errno == 0:
	case a.seq < seqs && a.errno != 0:
		q.late[a.seq].Add(1)
	default:
		q.odd.Add(1)
	}
}

// Wake has a Recv that blocks return, or the next one that would: the kernel acknowledges an empty request. If the socket's memory
// is used up there is no acknowledgement, but then there are messages to return with.
func (q *Queue) Wake() error {
	b := make([]byte, headerLen)
	binary.NativeEndian.PutUint32(b, headerLen)
	binary.NativeEndian.PutUint16(b[4:], unix.NLMSG_NOOP)
	binary.NativeEndian.PutUint16(b[6:], flagRequest|flagAck)
	binary.NativeEndian.PutUint32(b[8:], seqWake)
	for {
		err := unix.Send(q.fd, b, 0)
		if !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

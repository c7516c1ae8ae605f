package queue

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Config says how a queue is to be. The zero value of each field but FailOpen stands for the default.
type Config struct {
	First  uint16 // the first number to try; the next ones follow, around the end. 0: DefaultFirst
	Length uint32 // packets that wait in the kernel, verdict or no verdict; more are lost. 0: DefaultLength
	Memory int    // bytes of the socket's receive buffer. 0: DefaultMemory
	Batch  int    // messages in one Recv, 1 to 255. 0: DefaultBatch

	Avoid func(number uint16) bool // numbers to pass over though they are free, since rules name them; nil: none

	FailOpen bool // what does not fit goes on undecided and overtakes what waits; without it, it is lost
}

// Defaults of Config.
const (
	DefaultFirst  = 40000 // above what administrators number by hand
	DefaultLength = 16384
	DefaultMemory = 64 << 20
	DefaultBatch  = 64 // half as many cost a tenth more CPU time a packet
)

// numbersTried bounds the trial.
const numbersTried = 1024

// sendMemory is the socket's send buffer in bytes: it bounds what one Flush can carry.
const sendMemory = 4 << 20

// The errors of Open that say what to do about it.
var (
	ErrPrivilege = errors.New("nfnetlink_queue refuses: CAP_NET_ADMIN is needed in the network namespace")
	ErrMissing   = errors.New("the kernel has no nfnetlink_queue (CONFIG_NETFILTER_NETLINK_QUEUE)")
	ErrNumbers   = errors.New("no queue number is free")
	ErrClosed    = errors.New("queue is closed")
)

// Queue is a bound queue number and the socket that its packets come to.
type Queue struct {
	fd     int
	number uint16
	books  *os.File // /proc/net/netfilter/nfnetlink_queue of the namespace; nil: we may not read it
	closed atomic.Bool

	in in // the receiver's

	late [seqs]atomic.Uint64 // verdicts of that kind for packets that the kernel had no more
	odd  atomic.Uint64       // messages that were malformed, or answers that nobody waits for
}

// Open binds the first free number. Errors: ErrPrivilege, ErrMissing, ErrNumbers, or what a system call says.
func Open(c Config) (*Queue, error) {
	c = c.normal()
	fd, err := openSocket(c.Memory)
	if err != nil {
		return nil, err
	}
	q := &Queue{fd: fd}
	q.in.init(fd, c.Batch)
	q.books, err = os.Open("/proc/thread-self/net/netfilter/nfnetlink_queue")
	switch {
	case errors.Is(err, os.ErrPermission): // it is root's, whatever capabilities we have
		q.books = nil
	case err != nil:
		_ = unix.Close(fd)
		return nil, fmt.Errorf("%w: %w", ErrMissing, err)
	}
	if err := q.bind(&c); err != nil {
		return nil, errors.Join(err, q.Close())
	}
	return q, nil
}

func (c Config) normal() Config {
	if c.First == 0 {
		c.First = DefaultFirst
	}
	if c.Length == 0 {
		c.Length = DefaultLength
	}
	if c.Memory <= 0 {
		c.Memory = DefaultMemory
	}
	if c.Batch <= 0 {
		c.Batch = DefaultBatch
	}
	c.Batch = min(c.Batch, 255)
	return c
}

func openSocket(memory int) (fd int, err error) {
	fd, err = unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_NETFILTER)
	if err != nil {
		return -1, fmt.Errorf("%w: socket: %w", ErrMissing, err)
	}
	defer func() {
		if err != nil {
			_ = unix.Close(fd)
		}
	}()
	if err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return -1, fmt.Errorf("bind the netlink socket: %w", err)
	}
	for _, o := range []struct {
		name              string
		level, opt, value int
	}{
		{"NETLINK_NO_ENOBUFS", unix.SOL_NETLINK, unix.NETLINK_NO_ENOBUFS, 1}, // what is lost is counted by the kernel
		{"NETLINK_CAP_ACK", unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1},       // an error does not bring the payload back
	} {
		if err = unix.SetsockoptInt(fd, o.level, o.opt, o.value); err != nil {
			return -1, fmt.Errorf("%s: %w", o.name, err)
		}
	}
	limit := unix.NsecToTimeval(int64(dozeTime))
	return fd, errors.Join(
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &limit),
		forceMemory(fd, unix.SO_RCVBUFFORCE, unix.SO_RCVBUF, memory),
		forceMemory(fd, unix.SO_SNDBUFFORCE, unix.SO_SNDBUF, sendMemory))
}

// forceMemory sets a buffer beyond the system's limit where that is allowed, else up to it: in a user namespace it is not.
func forceMemory(fd, force, plain, bytes int) error {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, force, bytes) == nil {
		return nil
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, plain, bytes); err != nil {
		return fmt.Errorf("size of the socket's buffer: %w", err)
	}
	return nil
}

// Counted says that Stats knows what the kernel counts: its table is readable for root, or with CAP_DAC_READ_SEARCH.
func (q *Queue) Counted() bool { return q.books != nil }

// Number is what the kernel's rules name the queue by.
func (q *Queue) Number() uint16 { return q.number }

// Close ends the queue: packets that wait for a verdict are lost. A blocked Recv must have been ended by Wake before. Repeating
// it is harmless.
func (q *Queue) Close() error {
	if q.closed.Swap(true) {
		return nil
	}
	err := unix.Close(q.fd)
	if q.books != nil {
		err = errors.Join(err, q.books.Close())
	}
	return err
}

package netlink

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/internal/netns"
)

const (
	header    = unix.SizeofNlMsghdr
	replyTime = 5 * time.Second // the kernel answers within the send; this bounds a kernel that does not
)

// Message is one message. In a request Flags are added to NLM_F_REQUEST; the sequence number is the connection's.
type Message struct {
	Type  uint16
	Flags uint16
	Body  []byte
}

// Error is the kernel's refusal of one message.
type Error struct {
	Index int        // which message of the request, from 0
	Errno unix.Errno // never 0
	Text  string     // the kernel's own words (NLMSGERR_ATTR_MSG), or ""
}

func (e *Error) Error() string {
	if e.Text == "" {
		return fmt.Sprintf("netlink: message %d: %v", e.Index, e.Errno)
	}
	return fmt.Sprintf("netlink: message %d: %v: %s", e.Index, e.Errno, e.Text)
}

func (e *Error) Unwrap() error { return e.Errno }

var (
	// ErrClosed: the connection was closed.
	ErrClosed = errors.New("netlink: closed")

	// ErrInterrupted: what was listed changed meanwhile, so the list may lack something (NLM_F_DUMP_INTR). Ask again.
	ErrInterrupted = errors.New("netlink: what was listed changed meanwhile")
)

// Conn is a netlink socket. Its methods may be called from any goroutine; requests wait for each other.
type Conn struct {
	mu  sync.Mutex // guards all below, and lets one request at a time use the socket
	fd  int        // -1: closed
	seq uint32
	buf []byte
}

// Dial opens a socket of a netlink family (unix.NETLINK_ROUTE, ...) in the namespace of ns, a descriptor; -1 is the caller's.
func Dial(family, ns int) (*Conn, error) {
	fd := -1
	dial := func() (err error) {
		fd, err = socket(family)
		return err
	}
	var err error
	if ns < 0 {
		err = dial()
	} else {
		err = netns.Do(ns, dial)
	}
	if err != nil {
		return nil, err
	}
	return &Conn{fd: fd, buf: make([]byte, 64<<10)}, nil
}

func socket(family int) (int, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, family)
	if err != nil {
		return -1, fmt.Errorf("netlink: socket of family %d: %w", family, err)
	}
	if err := prepare(fd); err != nil {
		_ = unix.Close(fd)
		return -1, fmt.Errorf("netlink: prepare socket: %w", err)
	}
	return fd, nil
}

func prepare(fd int) error {
	// Refusals in words, and without a copy of what was refused; a kernel older than 4.12 refuses the wish, which costs words only.
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_EXT_ACK, 1)
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_CAP_ACK, 1)
	tv := unix.NsecToTimeval(int64(replyTime))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		return err
	}
	return unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
}

// Port is the socket's netlink port id, by which the kernel knows what the socket owns.
func (c *Conn) Port() (uint32, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	sa, err := unix.Getsockname(c.fd)
	if err != nil {
		return 0, fmt.Errorf("netlink: getsockname: %w", err)
	}
	nl, ok := sa.(*unix.SockaddrNetlink)
	if !ok {
		return 0, errors.New("netlink: the socket has no netlink address")
	}
	return nl.Pid, nil
}

// Close closes the socket; the kernel then removes what the socket owned. Closing twice is no error.
func (c *Conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd < 0 {
		return nil
	}
	err := unix.Close(c.fd)
	c.fd = -1
	return err
}

// Do sends the messages in one go and waits for the acknowledgement of each that asks for one (unix.NLM_F_ACK).
// It returns the first refusal as an *Error.
func (c *Conn) Do(ms ...Message) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	first, err := c.send(ms)
	if err != nil {
		return err
	}
	wait := make(map[uint32]bool, len(ms))
	for i, m := range ms {
		if m.Flags&unix.NLM_F_ACK != 0 {
			wait[first+uint32(i)] = true
		}
	}
	var refused *Error
	for len(wait) > 0 {
		done, err := c.receive(refused != nil, func(seq uint32, m Message) error {
			if m.Type != unix.NLMSG_ERROR {
				return nil
			}
			delete(wait, seq)
			if e := refusal(m, int(seq-first)); e != nil && e.Index >= 0 && e.Index < len(ms) && refused == nil {
				refused = e
			}
			return nil
		})
		if done && refused != nil { // a batch that failed as a whole acknowledges its first message only
			break
		}
		if err != nil {
			return err
		}
	}
	if refused != nil {
		return refused
	}
	return nil
}

// Query sends one message and calls f for each message of the answer, whose body is valid during f. It stops at f's error. A list
// (unix.NLM_F_DUMP) that changed meanwhile is told to f all the same; then the error is ErrInterrupted.
func (c *Conn) Query(m Message, f func(Message) error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	dump := m.Flags&unix.NLM_F_DUMP == unix.NLM_F_DUMP
	if !dump {
		m.Flags |= unix.NLM_F_ACK
	}
	first, err := c.send([]Message{m})
	if err != nil {
		return err
	}
	a := answer{seq: first, each: f}
	for !a.ended {
		if _, err := c.receive(false, a.take); err != nil {
			return err
		}
	}
	if a.err == nil && a.torn {
		return ErrInterrupted
	}
	return a.err
}

// answer is what came of a query so far.
type answer struct {
	seq   uint32
	each  func(Message) error
	err   error // a refusal, or of each
	torn  bool  // the list changed meanwhile
	ended bool
}

func (a *answer) take(seq uint32, m Message) error {
	if seq != a.seq || a.ended {
		return nil
	}
	a.torn = a.torn || m.Flags&unix.NLM_F_DUMP_INTR != 0 && m.Type != unix.NLMSG_ERROR // where the bit has another meaning
	switch m.Type {
	case unix.NLMSG_ERROR:
		a.ended = true
		if e := refusal(m, 0); e != nil {
			a.err = e
		}
	case unix.NLMSG_DONE:
		a.ended = true
	default:
		if a.err == nil {
			a.err = a.each(m)
		}
	}
	return nil
}

// send numbers the messages and writes them as one datagram. c.mu is held.
func (c *Conn) send(ms []Message) (first uint32, err error) {
	if c.fd < 0 {
		return 0, ErrClosed
	}
	first = c.seq + 1
	var out []byte
	for _, m := range ms {
		c.seq++
		out = binary.NativeEndian.AppendUint32(out, uint32(header+len(m.Body)))
		out = binary.NativeEndian.AppendUint16(out, m.Type)
		out = binary.NativeEndian.AppendUint16(out, m.Flags|unix.NLM_F_REQUEST)
		out = binary.NativeEndian.AppendUint32(out, c.seq)
		out = binary.NativeEndian.AppendUint32(out, 0)
		out = append(out, m.Body...)
		out = append(out, make([]byte, pad(len(m.Body)))...)
	}
	for {
		err = unix.Sendto(c.fd, out, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("netlink: send: %w", err)
		}
		return first, nil
	}
}

// receive reads one datagram and calls f for each message in it. With now it does not wait. done: nothing was there. c.mu is held.
func (c *Conn) receive(now bool, f func(seq uint32, m Message) error) (done bool, err error) {
	flags := 0
	if now {
		flags = unix.MSG_DONTWAIT
	}
	n, _, err := unix.Recvfrom(c.fd, c.buf, flags|unix.MSG_TRUNC)
	switch {
	case err == unix.EINTR:
		return false, nil
	case err == unix.EAGAIN:
		return true, fmt.Errorf("netlink: no answer from the kernel: %w", err)
	case err != nil:
		return false, fmt.Errorf("netlink: receive: %w", err)
	case n > len(c.buf):
		return false, fmt.Errorf("netlink: an answer of %d bytes, room for %d", n, len(c.buf))
	}
	return false, split(c.buf[:n], f)
}

func split(b []byte, f func(seq uint32, m Message) error) error {
	for len(b) >= header {
		n := int(binary.NativeEndian.Uint32(b))
		if n < header || n > len(b) {
			return errors.New("netlink: a message does not fit its datagram")
		}
		m := Message{
			Type: binary.NativeEndian.Uint16(b[4:]), Flags: binary.NativeEndian.Uint16(b[6:]), Body: b[header:n],
		}
		if err := f(binary.NativeEndian.Uint32(b[8:]), m); err != nil {
			return err
		}
		b = b[min(n+pad(n), len(b)):]
	}
	return nil
}

// refusal reads an error message; nil is an acknowledgement.
func refusal(m Message, index int) *Error {
	if len(m.Body) < 4 {
		return &Error{Index: index, Errno: unix.EBADMSG}
	}
	errno := -int32(binary.NativeEndian.Uint32(m.Body))
	if errno == 0 {
		return nil
	}
	e := &Error{Index: index, Errno: unix.Errno(errno)}
	if m.Flags&unix.NLM_F_ACK_TLVS != 0 && len(m.Body) >= 4+header {
		// What cannot be read leaves the number, which is what counts.
		_ = Each(m.Body[4+header:], func(typ uint16, v []byte) error {
			if typ == unix.NLMSGERR_ATTR_MSG {
				e.Text = Text(v)
			}
			return nil
		})
	}
	return e
}

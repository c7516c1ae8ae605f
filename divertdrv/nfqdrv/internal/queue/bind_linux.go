package queue

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Attributes and values of NFQNL_MSG_CONFIG.
const (
	configCommand = 1 // struct nfqnl_msg_config_cmd
	configParams  = 2 // struct nfqnl_msg_config_params
	configLength  = 3 // u32
	configMask    = 4 // u32: which flags are set
	configFlags   = 5 // u32

	commandBind   = 1
	commandPFBind = 3 // does nothing any more, but asks for rights
	copyPacket    = 2

	flagFailOpen = 1 << 0
	flagGSO      = 1 << 2
)

// answerTime bounds how long the kernel is waited for, which answers within the system call: it is never reached.
const answerTime = 5 * time.Second

// bind takes the first number that is free and configures the queue.
func (q *Queue) bind(c *Config) error {
	if err := q.bindNumber(c.First, c.Avoid); err != nil {
		return err
	}
	flags := uint32(flagGSO)
	if c.FailOpen {
		flags |= flagFailOpen
	}
	for _, step := range []struct {
		what  string
		attrs []byte
	}{
		{"queue length", attr(nil, configLength, u32(c.Length)...)},
		{"flags GSO, fail-open", append(attr(nil, configMask, u32(flagGSO|flagFailOpen)...), attr(nil, configFlags, u32(flags)...)...)},
		{"copy mode", attr(nil, configParams, append(u32(0xffff), copyPacket)...)}, // last: from here on packets come
	} {
		if err := q.configure(q.number, step.attrs); err != nil {
			return fmt.Errorf("configure queue %d: %s: %w", q.number, step.what, err)
		}
	}
	return nil
}

func (q *Queue) bindNumber(first uint16, avoid func(uint16) bool) error {
	if err := q.configure(first, attr(nil, configCommand, commandPFBind, 0, 0, unix.AF_INET)); errors.Is(err, unix.EPERM) {
		return ErrPrivilege
	}
	command := attr(nil, configCommand, commandBind, 0, 0, 0)
	for i := range uint16(numbersTried) {
		number := first + i
		if avoid != nil && avoid(number) {
			continue
		}
		err := q.configure(number, command)
		switch {
		case err == nil:
			q.number = number
			return nil
		case errors.Is(err, unix.EBUSY), errors.Is(err, unix.EPERM):
			continue // somebody else's: the kernel says EPERM for the queue of another socket
		case errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP):
			return fmt.Errorf("%w: %w", ErrMissing, err)
		default:
			return fmt.Errorf("bind queue %d: %w", number, err)
		}
	}
	return fmt.Errorf("%w: tried %d from %d on", ErrNumbers, numbersTried, first)
}

// configure sends one configuration request and waits for its acknowledgement. It is used before packets come only.
func (q *Queue) configure(number uint16, attrs []byte) error {
	b := begin(nil, typeConfig, flagRequest|flagAck, seqConfig, number)
	b = end(append(b, attrs...), 0)
	if err := unix.Send(q.fd, b, 0); err != nil {
		return err
	}
	var p Packet
	var a answer
	reply := make([]byte, 4096)
	for until := time.Now().Add(answerTime); time.Now().Before(until); {
		n, _, err := unix.Recvfrom(q.fd, reply, unix.MSG_DONTWAIT)
		switch {
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN):
			continue
		case err != nil:
			return err
		}
		if read(reply[:n], &p, &a) == anAnswer && a.seq == seqConfig {
			if a.errno != 0 {
				return unix.Errno(a.errno)
			}
			return nil
		}
	}
	return errors.New("the kernel did not answer")
}

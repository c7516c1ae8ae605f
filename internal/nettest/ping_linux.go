package nettest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Echo is a run of ICMP or ICMPv6 echo requests.
type Echo struct {
	Count int
	Size  int           // bytes of payload of each, at most 65,000; what exceeds the MTU is fragmented
	Wait  time.Duration // for each answer; 0: one second
}

// Ping sends echo requests from a namespace, each after the answer to the one before or its time, and counts the answers that
// brought back the same bytes. An error is one of this host: no route, no permission.
func Ping(from *Namespace, to netip.Addr, e Echo) (answers int, err error) {
	p, err := newPinger(from, to)
	if err != nil {
		return 0, fmt.Errorf("ping %v: %w", to, err)
	}
	defer p.file.Close()
	if e.Wait == 0 {
		e.Wait = time.Second
	}
	for i := range e.Count {
		ok, err := p.ask(uint16(i), e.Size, e.Wait)
		if err != nil {
			return answers, fmt.Errorf("ping %v: %w", to, err)
		}
		if ok {
			answers++
		}
	}
	return answers, nil
}

// pinger is a ping socket (IPPROTO_ICMP with SOCK_DGRAM): the kernel fills in the identifier and the checksum, and delivers the
// answers to our identifier only.
type pinger struct {
	file             *os.File
	request, respond byte
}

func newPinger(from *Namespace, to netip.Addr) (*pinger, error) {
	p := &pinger{request: 8, respond: 0} // RFC 792
	family, proto := unix.AF_INET, unix.IPPROTO_ICMP
	var peer unix.Sockaddr = &unix.SockaddrInet4{Addr: addr4(to)}
	if to.Is6() {
		p.request, p.respond = 128, 129 // RFC 4443
		family, proto = unix.AF_INET6, unix.IPPROTO_ICMPV6
		peer = &unix.SockaddrInet6{Addr: to.As16()}
	}
	var err error
	from.Do(func() { p.file, err = pingSocket(family, proto, peer) })
	return p, err
}

func addr4(a netip.Addr) (b [4]byte) {
	if a.Is4() {
		b = a.As4()
	}
	return b
}

func pingSocket(family, proto int, peer unix.Sockaddr) (*os.File, error) {
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, proto)
	if err != nil {
		return nil, err
	}
	if err := unix.Connect(fd, peer); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), "ping"), nil
}

// ask sends one request and reports whether its answer came in time. ICMP errors of earlier requests count as no answer.
func (p *pinger) ask(seq uint16, size int, wait time.Duration) (bool, error) {
	b := make([]byte, 8+size)
	b[0] = p.request
	binary.BigEndian.PutUint16(b[6:], seq)
	for i := range b[8:] {
		b[8+i] = byte(i + int(seq))
	}
	if err := p.file.SetDeadline(time.Now().Add(wait)); err != nil {
		return false, err
	}
	if _, err := p.file.Write(b); errors.Is(err, unix.EPERM) {
		return false, nil // a rule of this host dropped it
	} else if err != nil {
		return false, err
	}
	answer := make([]byte, 1<<16)
	for {
		n, err := p.file.Read(answer)
		if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, unix.EHOSTUNREACH) || errors.Is(err, unix.ENETUNREACH) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if n == len(b) && answer[0] == p.respond && bytes.Equal(answer[6:n], b[6:]) {
			return true, nil
		}
	}
}

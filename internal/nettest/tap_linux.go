package nettest

import (
	"encoding/binary"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// Tap is a packet socket at one end of a link (packet(7)): it sees what comes in before any hook of the stack does, and sends what
// no hook sees.
type Tap struct {
	fd   int
	mac  net.HardwareAddr
	quit chan struct{}
	over chan struct{}
	once sync.Once
}

const (
	tapFrame  = 14          // bytes of an Ethernet header
	tapBuffer = 1<<16 + 100 // bytes; a super-packet is no longer
)

// NewTap calls see for each packet that comes in for this end, in order and from one goroutine, until the tap is closed; the test
// closes it at its end. The packet is see's during the call only. It may answer with Send.
func NewTap(t testing.TB, at *Link, see func(tap *Tap, packet []byte)) *Tap {
	t.Helper()
	p := &Tap{mac: at.MAC, quit: make(chan struct{}), over: make(chan struct{})}
	var err error
	at.NS.Do(func() { p.fd, err = tapSocket(at.Index) })
	if err != nil {
		t.Fatalf("packet socket at %s: %v", at.Name, err)
	}
	go p.run(see)
	t.Cleanup(p.Close)
	return p
}

func tapSocket(index int) (int, error) {
	all := binary.NativeEndian.Uint16([]byte{0, unix.ETH_P_ALL}) // in network order
	// Protocol 0 hears nothing until it is bound, so nothing of other links either.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	// Reading ends now and then, to look whether the tap was closed.
	err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 20_000})
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: index})
	}
	if err != nil {
		_ = unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func (p *Tap) run(see func(tap *Tap, packet []byte)) {
	defer close(p.over)
	for frame := make([]byte, tapBuffer); ; {
		select {
		case <-p.quit:
			return
		default:
		}
		n, from, err := unix.Recvfrom(p.fd, frame, 0)
		if err != nil || n < tapFrame {
			continue // the time is over, or a signal came
		}
		if ll, ok := from.(*unix.SockaddrLinklayer); ok && ll.Pkttype == unix.PACKET_HOST {
			see(p, frame[tapFrame:n])
		}
	}
}

// Send sends an IP packet to the other end of the link.
func (p *Tap) Send(to *Link, packet []byte) error {
	proto := uint16(unix.ETH_P_IP)
	if packet[0]>>4 == 6 {
		proto = unix.ETH_P_IPV6
	}
	frame := binary.BigEndian.AppendUint16(slices.Concat(to.MAC, p.mac), proto)
	if err := unix.Send(p.fd, append(frame, packet...), 0); err != nil {
		return fmt.Errorf("send to %s: %w", to.Name, err)
	}
	return nil
}

// Close ends the tap, and waits until see has returned. Repeating it is harmless.
func (p *Tap) Close() {
	p.once.Do(func() {
		close(p.quit)
		<-p.over
		_ = unix.Close(p.fd)
	})
}

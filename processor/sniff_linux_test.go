package processor_test

import (
	"encoding/binary"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/internal/nettest"
)

// sniffer sees what comes in on a link before any hook of the network stack does.
type sniffer struct {
	fd   int
	quit chan struct{}
	over chan struct{}

	mu   sync.Mutex // guards all below
	syns map[uint16]int
}

// sniff counts TCP segments with SYN and without ACK, by destination port, until the test ends.
func sniff(t testing.TB, at *nettest.Link) *sniffer {
	t.Helper()
	s := &sniffer{quit: make(chan struct{}), over: make(chan struct{}), syns: make(map[uint16]int)}
	all := binary.NativeEndian.Uint16([]byte{0, unix.ETH_P_ALL}) // in network order
	var err error
	at.NS.Do(func() { s.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(all)) })
	if err != nil {
		t.Fatal(err)
	}
	if err = unix.Bind(s.fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: at.Index}); err == nil {
		err = unix.SetsockoptTimeval(s.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 20_000})
	}
	if err != nil {
		_ = unix.Close(s.fd)
		t.Fatal(err)
	}
	go s.run()
	t.Cleanup(func() {
		close(s.quit)
		<-s.over
		_ = unix.Close(s.fd)
	})
	return s
}

func (s *sniffer) run() {
	defer close(s.over)
	for pkt := make([]byte, 1<<16); ; {
		select {
		case <-s.quit:
			return
		default:
		}
		n, _, err := unix.Recvfrom(s.fd, pkt, 0)
		if err != nil {
			continue // the time is over, or a signal came
		}
		var h wire.Headers
		wire.Parse(pkt[:n], &h)
		if t := h.TCP(pkt[:n]); t != nil && t.Flags()&(wire.SYN|wire.ACK) == wire.SYN {
			s.mu.Lock()
			s.syns[t.DstPort()]++
			s.mu.Unlock()
		}
	}
}

// seen is how many SYNs came for a port.
func (s *sniffer) seen(port uint16) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.syns[port]
}

package reinject

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/internal/nettest"
)

func TestMain(m *testing.M) {
	if args := strings.Fields(os.Getenv(victimEnv)); len(args) > 0 {
		beVictim(args[1:])
		return
	}
	goleak.VerifyTestMain(m)
}

// arriveTime bounds the wait for a packet that is on its way, quietTime for one that must not come.
const (
	arriveTime = 5 * time.Second
	quietTime  = 100 * time.Millisecond
)

var source = [6]byte{0x06, 1, 2, 3, 4, 5}

// openIn opens an injector in a namespace for the time of the test.
func openIn(t testing.TB, ns *nettest.Namespace, cfg Config) *Injector {
	t.Helper()
	cfg.Namespace, cfg.Source = ns.FD(), source
	in, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := in.Close(); err != nil {
			t.Error(err)
		}
	})
	return in
}

// needs says what nearly every test here needs.
func needs(t testing.TB) { t.Helper(); nettest.Need(t, nettest.Root) }

// packets makes free packets of one Address.
func packets(set func(a *divertdrv.Address), data ...[]byte) (ps []divertdrv.Packet) {
	for _, d := range data {
		var a divertdrv.Address
		a.SetOutbound(true)
		if set != nil {
			set(&a)
		}
		ps = append(ps, *divertdrv.NewPacket(a, d))
	}
	return ps
}

// inboundOn is the Address of a packet that arrives at a link.
func inboundOn(index int) func(a *divertdrv.Address) {
	return func(a *divertdrv.Address) { a.SetOutbound(false); a.SetInterface(uint32(index), 0) }
}

// mustInject injects all.
func mustInject(t testing.TB, in *Injector, ps []divertdrv.Packet) {
	t.Helper()
	if n, err := in.Inject(ps); n != len(ps) || err != nil {
		t.Fatalf("injected %d of %d: %v", n, len(ps), err)
	}
}

// sniffer is a packet socket: the witness of what is on a link.
type sniffer struct {
	t  testing.TB
	fd int
}

// sniff captures what the link receives from here on.
func sniff(t testing.TB, l *nettest.Link) *sniffer { return sniffDevice(t, l.NS, l.Index) }

func sniffDevice(t testing.TB, ns *nettest.Namespace, index int) *sniffer {
	t.Helper()
	s := &sniffer{t: t}
	var err error
	ns.Do(func() { s.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(s.fd) })
	if err := unix.SetsockoptInt(s.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20); err != nil {
		t.Fatal(err)
	}
	every := binary.NativeEndian.Uint16([]byte{0, unix.ETH_P_ALL})
	if err := unix.Bind(s.fd, &unix.SockaddrLinklayer{Protocol: every, Ifindex: index}); err != nil {
		t.Fatal(err)
	}
	return s
}

// next returns the next frame that arrived and that want takes: its IP packet and its source address. nil: none came in time.
func (s *sniffer) next(wait time.Duration, want func(ip []byte) bool) (ip, from []byte) {
	s.t.Helper()
	buf := make([]byte, 1<<17)
	for until := time.Now().Add(wait); ; {
		left := time.Until(until)
		if left <= 0 {
			return nil, nil
		}
		tv := unix.NsecToTimeval(int64(left))
		if err := unix.SetsockoptTimeval(s.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
			s.t.Fatal(err)
		}
		n, sa, err := unix.Recvfrom(s.fd, buf, 0)
		if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			s.t.Fatal(err)
		}
		if ll, ok := sa.(*unix.SockaddrLinklayer); !ok || ll.Pkttype == unix.PACKET_OUTGOING || n < 14 {
			continue
		}
		if t := binary.BigEndian.Uint16(buf[12:]); t != unix.ETH_P_IP && t != unix.ETH_P_IPV6 {
			continue
		}
		if want(buf[14:n]) {
			return append([]byte{}, buf[14:n]...), append([]byte{}, buf[6:12]...)
		}
	}
}

// expect waits for a packet that is equal to want byte by byte, whatever else passes.
func (s *sniffer) expect(want []byte) {
	s.t.Helper()
	var like []byte
	got, _ := s.next(arriveTime, func(ip []byte) bool {
		if string(ip[:min(len(ip), len(want))]) == string(want) {
			return true
		}
		if len(ip) == len(want) && ip[0] == want[0] {
			like = append([]byte{}, ip...)
		}
		return false
	})
	if got == nil {
		s.t.Fatalf("did not arrive\nwant % x\nlike % x", head(want), head(like))
	}
}

// refuse fails if a packet of that protocol and to that address arrives.
func (s *sniffer) refuse(data []byte) {
	s.t.Helper()
	if got, _ := s.next(quietTime, func(ip []byte) bool { return string(ip) == string(data) }); got != nil {
		s.t.Error("a packet arrived that must not")
	}
}

func head(b []byte) []byte { return b[:min(len(b), 80)] }

// listener is a UDP socket that tells by which interface a datagram came.
type listener struct {
	t  testing.TB
	fd int
}

func listen(t testing.TB, ns *nettest.Namespace, family int, port int) *listener {
	t.Helper()
	l := &listener{t: t}
	var err error
	ns.Do(func() { l.fd, err = unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(l.fd) })
	tv := unix.NsecToTimeval(int64(arriveTime))
	set := func(level, opt, v int) {
		if err := unix.SetsockoptInt(l.fd, level, opt, v); err != nil {
			t.Fatal(err)
		}
	}
	set(unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20)
	if err := unix.SetsockoptTimeval(l.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		t.Fatal(err)
	}
	var sa unix.Sockaddr = &unix.SockaddrInet4{Port: port}
	if family == unix.AF_INET6 {
		sa = &unix.SockaddrInet6{Port: port}
		set(unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
		set(unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
	} else {
		set(unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
	}
	if err := unix.Bind(l.fd, sa); err != nil {
		t.Fatal(err)
	}
	return l
}

// receive returns the next datagram and the index of the interface that received it.
func (l *listener) receive() (payload []byte, index int, err error) {
	b, oob := make([]byte, 1<<16), make([]byte, 256)
	n, on, _, _, err := unix.Recvmsg(l.fd, b, oob, 0)
	if err != nil {
		return nil, 0, err
	}
	msgs, err := unix.ParseSocketControlMessage(oob[:on])
	if err != nil || len(msgs) != 1 {
		return nil, 0, fmt.Errorf("%d control messages: %w", len(msgs), err)
	}
	if msgs[0].Header.Level == unix.IPPROTO_IPV6 {
		return b[:n], int(binary.NativeEndian.Uint32(msgs[0].Data[16:])), nil
	}
	return b[:n], int(binary.NativeEndian.Uint32(msgs[0].Data)), nil
}

func familyOf(a netip.Addr) int {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

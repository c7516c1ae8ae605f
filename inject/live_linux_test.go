package inject_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/inject"
	"github.com/weirnet/weir/inject/craft"
	"github.com/weirnet/weir/internal/nettest"
)

// A datagram that is put in on the receive path of an interface reaches a socket as if it had come there, and its stale header
// checksum is made good. Every address of the host is tried on every interface: the interface is the injection's, not the route's.
func TestLiveReceiveInjectionHasItsInterface(t *testing.T) {
	nettest.Need(t, nettest.Root)
	ns := nettest.NewNamespace(t)
	var here, there [2]*nettest.Link
	for i := range here {
		here[i], there[i] = nettest.Pair(t, ns, nettest.NewNamespace(t))
	}
	var told atomic.Int64
	s := newHost(t, ns, divertdrv.Network, "false", inject.Config{OnViolation: func(v inject.Violation) {
		if v.Rule == inject.StaleChecksum {
			told.Add(1)
		}
	}})
	stale := int64(0)
	for _, family := range []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
		c := listen(t, ns, netip.AddrPortFrom(family, 7))
		wantInterface(t, c)
		for i, at := range here {
			for _, to := range here {
				text := fmt.Sprintf("%v on %s", to.Addr(family), at.Name)
				data, err := craft.UDP(netip.AddrPortFrom(there[i].Addr(family), 9), netip.AddrPortFrom(to.Addr(family), 7), []byte(text))
				if err != nil {
					t.Fatal(err)
				}
				if family.Is4() {
					data[10] ^= 0x5a
					stale++
				}
				p := divertdrv.NewPacket(final(), data)
				if err := s.j.Inject(nil, inject.Injection{Packet: p, Path: inject.Receive, IfIdx: uint32(at.Index)}); err != nil {
					t.Fatalf("%s: %v", text, err)
				}
				if got, index := readInterface(t, c); got != text || index != at.Index {
					t.Errorf("%q came on interface %d, want %q on %d", got, index, text, at.Index)
				}
			}
		}
	}
	if s.finish(); told.Load() != stale || s.j.Stats().StaleChecksums != uint64(stale) {
		t.Errorf("%d stale checksums were told, want %d", told.Load(), stale)
	}
	noBadChecksums(t, ns)
}

// wantInterface asks for IP_PKTINFO with each datagram.
func wantInterface(t testing.TB, c *net.UDPConn) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	four := c.LocalAddr().(*net.UDPAddr).IP.To4() != nil
	var serr error
	err = raw.Control(func(fd uintptr) {
		if four {
			serr = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_PKTINFO, 1)
			return
		}
		serr = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IPV6, syscall.IPV6_RECVPKTINFO, 1)
	})
	if err != nil || serr != nil {
		t.Fatal(err, serr)
	}
}

// readInterface reads a datagram and the index of the interface where it came.
func readInterface(t testing.TB, c *net.UDPConn) (text string, index int) {
	t.Helper()
	data, control := make([]byte, 1500), make([]byte, 256)
	n, nc, _, _, err := c.ReadMsgUDP(data, control)
	if err != nil {
		t.Fatal(err)
	}
	messages, err := syscall.ParseSocketControlMessage(control[:nc])
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range messages {
		switch { // struct in_pktinfo has the index first, struct in6_pktinfo behind the address
		case m.Header.Level == syscall.IPPROTO_IP && m.Header.Type == syscall.IP_PKTINFO:
			index = int(binary.NativeEndian.Uint32(m.Data))
		case m.Header.Level == syscall.IPPROTO_IPV6 && m.Header.Type == syscall.IPV6_PKTINFO:
			index = int(binary.NativeEndian.Uint32(m.Data[16:]))
		}
	}
	return string(data[:n]), index
}

// Fragments that come are put together, changed, and passed or injected: what reaches the socket is whole and right.
func TestLiveFragmentsAreAlteredAndDelivered(t *testing.T) {
	nettest.Need(t, nettest.Root)
	for _, way := range []string{"passed", "injected"} {
		for _, family := range []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
			t.Run(fmt.Sprintf("%s,v6=%v", way, family.Is6()), func(t *testing.T) {
				here, there := nettest.Pair(t, nettest.NewNamespace(t), nettest.NewNamespace(t))
				s := newHost(t, here.NS, divertdrv.Network, "inbound and (udp.DstPort == 7 or icmp.Type == 8 or icmpv6.Type == 128)", inject.Config{})
				var whole atomic.Int64
				s.serve(func(p *divertdrv.Packet) {
					if len(p.Data) > 4000 {
						whole.Add(1)
					}
					alter(p)
					if way == "injected" {
						s.reinject(p)
					}
				})
				const count, size = 5, 4000
				c := listen(t, here.NS, netip.AddrPortFrom(here.Addr(family), 7))
				sendFragmented(t, c, there, count, size)
				if n, err := nettest.Ping(there.NS, here.Addr(family), nettest.Echo{Count: count, Size: size}); n != count || err != nil {
					t.Errorf("%d of %d pings were answered, %v", n, count, err)
				}
				st := s.finish()
				if whole.Load() != 2*count || st.Received != 2*count || way == "injected" && st.Injected != 2*count {
					t.Errorf("%d came whole, %+v", whole.Load(), st)
				}
				noBadChecksums(t, here.NS, there.NS)
			})
		}
	}
}

// alter changes the last byte of a datagram, and of everything the hop limit.
func alter(p *divertdrv.Packet) {
	data, h := p.Edit(), p.Headers()
	if h.Transport == wire.UDP {
		data[len(data)-1] = 'W'
	}
	if h.Version == 4 {
		data[8] = 9
	} else {
		data[7] = 9
	}
	p.SetDirty()
}

// reinject puts a copy of the packet in on the path where it came, and drops it.
func (s *host) reinject(p *divertdrv.Packet) {
	path := inject.Receive
	switch {
	case p.Addr.Layer() == divertdrv.NetworkForward:
		path = inject.Forward
	case p.Addr.Outbound():
		path = inject.Send
	}
	p.Set(divertdrv.Drop, reason.Callout)
	if err := s.j.Inject(nil, inject.Injection{Packet: p.Clone(), Path: path}); err != nil {
		s.t.Errorf("inject: %v", err)
	}
}

// sendFragmented sends datagrams to c from the other end, and looks at what arrives.
func sendFragmented(t testing.TB, c *net.UDPConn, from *nettest.Link, count, size int) {
	t.Helper()
	to := c.LocalAddr().(*net.UDPAddr)
	var out *net.UDPConn
	var err error
	from.NS.Do(func() { out, err = net.DialUDP("udp", nil, to) })
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	for i := range count {
		data := bytes.Repeat([]byte{byte('a' + i)}, size)
		if _, err := out.Write(data); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, size+1)
		n, err := c.Read(got)
		if err != nil {
			t.Fatal(err)
		}
		data[size-1] = 'W'
		if !bytes.Equal(got[:n], data) {
			t.Errorf("datagram %d: %d bytes came, not those that were meant", i, n)
		}
	}
}

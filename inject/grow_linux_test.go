package inject_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/inject"
	"github.com/weirnet/weir/internal/nettest"
)

// Datagrams that grow past the MTU leave in fragments, passed or injected, and arrive whole.
func TestLiveGrownUDPArrivesWhole(t *testing.T) {
	nettest.Need(t, nettest.Root)
	for _, way := range []string{"passed", "injected"} {
		for _, family := range []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
			t.Run(fmt.Sprintf("%s,v6=%v", way, family.Is6()), func(t *testing.T) {
				const was, size = 1000, 4000
				here, there := nettest.Pair(t, nettest.NewNamespace(t), nettest.NewNamespace(t))
				s := newHost(t, here.NS, divertdrv.Network, "outbound and udp.DstPort == 7", inject.Config{})
				s.serve(func(p *divertdrv.Packet) {
					grow(t, p, size-was)
					if way == "injected" {
						s.reinject(p)
					}
				})
				in := listen(t, there.NS, netip.AddrPortFrom(there.Addr(family), 7))
				out := listen(t, here.NS, netip.AddrPortFrom(here.Addr(family), 0))
				mayFragment(t, out)
				const count = 5
				for i := range count {
					data := bytes.Repeat([]byte{byte('a' + i)}, size)
					if _, err := out.WriteTo(data[:was], in.LocalAddr()); err != nil {
						t.Fatal(err)
					}
					got := make([]byte, size+1)
					if n, err := in.Read(got); err != nil || !bytes.Equal(got[:n], data) {
						t.Fatalf("datagram %d: %d bytes came, %v", i, n, err)
					}
				}
				st, cut := s.finish(), s.j.Stats().Cut
				if cut != count || st.Injected < 3*count || way == "passed" && st.Dropped[reason.Fragmented] != count {
					t.Errorf("%d were cut, %+v", cut, st)
				}
				noBadChecksums(t, here.NS, there.NS)
			})
		}
	}
}

// A TCP segment that grows past the MTU leaves in segments, which the peer takes for the sender's own.
func TestLiveGrownTCPArrives(t *testing.T) {
	nettest.Need(t, nettest.Root)
	for _, family := range []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
		t.Run(fmt.Sprintf("v6=%v", family.Is6()), func(t *testing.T) {
			const was, size = 1000, 4000
			here, there := nettest.Pair(t, nettest.NewNamespace(t), nettest.NewNamespace(t))
			s := newHost(t, here.NS, divertdrv.Network, "outbound and tcp.DstPort == 7 and tcp.PayloadLength > 0", inject.Config{})
			s.serve(func(p *divertdrv.Packet) { grow(t, p, size-was) })
			var l net.Listener
			var out net.Conn
			var err error
			to := netip.AddrPortFrom(there.Addr(family), 7).String()
			there.NS.Do(func() { l, err = net.Listen("tcp", to) })
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			here.NS.Do(func() { out, err = net.DialTimeout("tcp", to, patience) })
			if err != nil {
				t.Fatal(err)
			}
			defer out.Close()
			_ = out.(*net.TCPConn).SetLinger(0) // what it never sent was acknowledged: it cannot end in peace
			in, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer in.Close()
			_ = in.SetDeadline(time.Now().Add(patience))
			data, got := bytes.Repeat([]byte{'a'}, size), make([]byte, size)
			if _, err := out.Write(data[:was]); err != nil {
				t.Fatal(err)
			}
			if n, err := io.ReadFull(in, got); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes came, %v", n, err)
			}
			if st := s.finish(); s.j.Stats().Cut == 0 || st.Dropped[reason.Fragmented] == 0 || st.Injected < 3 {
				t.Errorf("%+v", st)
			}
			noBadChecksums(t, here.NS, there.NS)
		})
	}
}

// grow adds bytes to the end, all like the first of the payload.
func grow(t testing.TB, p *divertdrv.Packet, by int) {
	was, first := len(p.Data), p.Headers().Payload(p.Data)[0]
	p.Edit()
	if err := p.Resize(was + by); err != nil {
		t.Error(err)
		return
	}
	copy(p.Data[was:], bytes.Repeat([]byte{first}, by))
}

// mayFragment has the kernel send without DF.
func mayFragment(t testing.TB, c *net.UDPConn) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var serr error
	err = raw.Control(func(fd uintptr) {
		if c.LocalAddr().(*net.UDPAddr).IP.To4() != nil {
			serr = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_IP, syscall.IP_MTU_DISCOVER, syscall.IP_PMTUDISC_DONT)
		}
	})
	if err != nil || serr != nil {
		t.Fatal(err, serr)
	}
}

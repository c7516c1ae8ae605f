package reinject

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/internal/nettest"
)

var families = []struct {
	name string
	like netip.Addr
}{{"IPv4", netip.IPv4Unspecified()}, {"IPv6", netip.IPv6Unspecified()}}

// What goes out arrives byte by byte, many in one call and one by one.
func TestOutboundArrivesAsItIs(t *testing.T) {
	needs(t)
	a, b := nettest.Pair(t, nettest.NewNamespace(t), nettest.NewNamespace(t))
	in := openIn(t, a.NS, Config{})
	for _, f := range families {
		src, dst := a.Addr(f.like), b.Addr(f.like)
		foreign := netip.MustParseAddr("192.0.2.7")
		if f.like.Is6() {
			foreign = netip.MustParseAddr("2001:db8::7")
		}
		all := [][]byte{
			udp(t, src, dst, 5000, []byte("datagram")), tcp(t, src, dst), echo(t, src, dst),
			hops(t, src, dst, 1), hops(t, src, dst, 255), udp(t, foreign, dst, 5000, []byte("from elsewhere")),
			udp(t, src, dst, 5000, make([]byte, 1400)),
			wrongSum(udp(t, src, dst, 5000, []byte("corrupt, and to stay so"))),
			wrap(t, src, dst, 253, nil, gopacket.Payload("a protocol for experiments")),
		}
		if f.like.Is4() {
			all = append(all, options4(t, src, dst), fragment4(t, src, dst), wrap(t, src, dst, 17,
				func(v4 *layers.IPv4, _ *layers.IPv6) { v4.Id, v4.Flags = 0, layers.IPv4DontFragment }, gopacket.Payload("no id, but DF")))
		} else {
			all = append(all, wrap(t, src, dst, layers.IPProtocolIPv6Fragment, nil,
				gopacket.Payload("\x11\x00\x00\x19\x01\x02\x03\x04the middle of something"))) // offset 24, more to come
		}
		t.Run(f.name, func(t *testing.T) {
			seen := sniff(t, b)
			ps := packets(nil, all...)
			mustInject(t, in, ps)
			for _, want := range all {
				seen.expect(want)
			}
		})
	}
}

// wrongSum spoils the last byte, so that the transport checksum is wrong.
func wrongSum(b []byte) []byte { b[len(b)-1] ^= 0x55; return b }

func options4(t testing.TB, src, dst netip.Addr) []byte {
	return wrap(t, src, dst, layers.IPProtocolUDP, func(v4 *layers.IPv4, _ *layers.IPv6) {
		v4.Options = []layers.IPv4Option{{OptionType: 148, OptionLength: 4, OptionData: []byte{0, 0}}} // router alert, RFC 2113
	}, &layers.UDP{SrcPort: 4000, DstPort: 5000}, gopacket.Payload("options"))
}

func fragment4(t testing.TB, src, dst netip.Addr) []byte {
	return wrap(t, src, dst, layers.IPProtocolUDP, func(v4 *layers.IPv4, _ *layers.IPv6) {
		v4.Flags, v4.FragOffset = layers.IPv4MoreFragments, 3
	}, gopacket.Payload("the middle of something 123456789"))
}

// Packets to an address of this host come back through the loopback device.
func TestOutboundToOwnAddress(t *testing.T) {
	needs(t)
	a, _ := nettest.Pair(t, nettest.NewNamespace(t), nettest.NewNamespace(t))
	in := openIn(t, a.NS, Config{})
	for _, f := range families {
		l := listen(t, a.NS, familyOf(f.like), 5000)
		big := make([]byte, 65000)
		loopback := netip.AddrFrom4([4]byte{127, 0, 0, 1})
		if f.like.Is6() {
			loopback = netip.IPv6Loopback()
		}
		for _, payload := range [][]byte{[]byte("home"), big} {
			for _, mine := range []netip.Addr{a.Addr(f.like), loopback} {
				mustInject(t, in, packets(nil, udp(t, mine, mine, 5000, payload)))
				if got, _, err := l.receive(); err != nil || string(got) != string(payload) {
					t.Errorf("%v: %d bytes, %v", mine, len(got), err)
				}
			}
		}
	}
}

// Destinations that need the interface of the Address: link-local, multicast, all hosts of a link.
func TestOutboundToLinkScope(t *testing.T) {
	needs(t)
	here := nettest.NewNamespace(t)
	a, b := nettest.Pair(t, here, nettest.NewNamespace(t))
	c, d := nettest.Pair(t, here, nettest.NewNamespace(t))
	in := openIn(t, here, Config{})
	on := func(l *nettest.Link) func(*divertdrv.Address) {
		return func(a *divertdrv.Address) { a.SetInterface(uint32(l.Index), 0) }
	}
	for _, pair := range [][2]*nettest.Link{{a, b}, {c, d}} {
		seen := sniff(t, pair[1])
		for _, dst := range []string{"255.255.255.255", "239.1.2.3", "ff02::1:7", "fe80::1234"} {
			dst := netip.MustParseAddr(dst)
			if dst.Is6() && dst.IsLinkLocalUnicast() {
				here.Command("ip", "neigh", "add", dst.String(), "lladdr", pair[1].MAC.String(), "dev", pair[0].Name)
			}
			want := udp(t, pair[0].Addr(dst), dst, 5000, []byte(dst.String()+pair[0].Name))
			mustInject(t, in, packets(on(pair[0]), want))
			seen.expect(want)
		}
	}
	broadcast := udp(t, a.V4, netip.AddrFrom4([4]byte{10, a.V4.As4()[1], a.V4.As4()[2], 255}), 5000, []byte("all of the subnet"))
	seen := sniff(t, b)
	mustInject(t, in, packets(nil, broadcast))
	seen.expect(broadcast)
}

// Policy routing sees the packet's own source, also one that is not this host's.
func TestOutboundRoutesBySource(t *testing.T) {
	needs(t)
	nettest.Need(t, nettest.Program("ip", "iproute2"))
	here := nettest.NewNamespace(t)
	a, b := nettest.Pair(t, here, nettest.NewNamespace(t))
	c, d := nettest.Pair(t, here, nettest.NewNamespace(t))
	in := openIn(t, here, Config{})
	for _, f := range []struct{ family, far, foreign string }{{"-4", "198.51.100.1", "192.0.2.7"}, {"-6", "2001:db8:1::1", "2001:db8::7"}} {
		far := netip.MustParseAddr(f.far)
		here.Command("ip", f.family, "route", "add", "default", "via", b.Addr(far).String())
		here.Command("ip", f.family, "route", "add", "default", "via", d.Addr(far).String(), "table", "77")
		for _, from := range []string{f.foreign, c.Addr(far).String()} {
			here.Command("ip", f.family, "rule", "add", "from", from, "table", "77")
		}
		near, other := sniff(t, b), sniff(t, d)
		for _, c := range []struct {
			from netip.Addr
			at   *sniffer
		}{{a.Addr(far), near}, {c.Addr(far), other}, {netip.MustParseAddr(f.foreign), other}} {
			want := udp(t, c.from, far, 5000, []byte("by source"))
			mustInject(t, in, packets(nil, want))
			c.at.expect(want)
		}
	}
}

// An impostor loses a hop; the packet that was given is not changed.
func TestOutboundImpostor(t *testing.T) {
	needs(t)
	a, b := nettest.Pair(t, nettest.NewNamespace(t), nettest.NewNamespace(t))
	in := openIn(t, a.NS, Config{})
	impostor := func(a *divertdrv.Address) { a.SetImpostor(true) }
	for _, f := range families {
		src, dst := a.Addr(f.like), b.Addr(f.like)
		seen := sniff(t, b)
		given := hops(t, src, dst, 9)
		mustInject(t, in, packets(impostor, given))
		seen.expect(hops(t, src, dst, 8))
		if string(given) != string(hops(t, src, dst, 9)) {
			t.Error("the caller's packet was changed")
		}
		for ttl := range uint8(2) {
			n, err := in.Inject(packets(impostor, hops(t, src, dst, 9), hops(t, src, dst, ttl), hops(t, src, dst, 9)))
			if n != 1 || !errors.Is(err, divertdrv.ErrHopLimit) {
				t.Errorf("%s with %d hops: %d, %v", f.name, ttl, n, err)
			}
		}
	}
}

// Each refusal has its name, says how many went in before, and leaves the injector able to send.
func TestOutboundErrors(t *testing.T) {
	needs(t)
	nettest.Need(t, nettest.Program("ip", "iproute2"))
	a, b := nettest.Pair(t, nettest.NewNamespace(t), nettest.NewNamespace(t))
	in := openIn(t, a.NS, Config{})
	for _, r := range []string{"blackhole 203.0.113.1", "prohibit 203.0.113.2", "unreachable 203.0.113.3", "prohibit 2001:db8::2", "unreachable 2001:db8::3"} {
		a.NS.Command("ip", append([]string{"route", "add"}, strings.Fields(r)...)...)
	}
	to := func(s string) []byte {
		dst := netip.MustParseAddr(s)
		return udp(t, a.Addr(dst), dst, 5000, nil)
	}
	short := to(b.V4.String())
	short = short[:len(short)-1]
	for name, c := range map[string]struct {
		data []byte
		want error
	}{
		"over the MTU, IPv4":      {udp(t, a.V4, b.V4, 5000, make([]byte, 1473)), divertdrv.ErrTooBig},
		"over the MTU, IPv6":      {udp(t, a.V6, b.V6, 5000, make([]byte, 1453)), divertdrv.ErrTooBig},
		"over what IP has":        {make([]byte, divertdrv.MTUMax+1), divertdrv.ErrTooBig},
		"no route, IPv4":          {to("198.51.100.1"), divertdrv.ErrUnreachable},
		"no route, IPv6":          {to("2001:db8::1"), divertdrv.ErrUnreachable},
		"blackhole":               {to("203.0.113.1"), divertdrv.ErrInvalid},
		"prohibited":              {to("203.0.113.2"), divertdrv.ErrUnreachable},
		"prohibited, IPv6":        {to("2001:db8::2"), divertdrv.ErrUnreachable},
		"unreachable":             {to("203.0.113.3"), divertdrv.ErrUnreachable},
		"unreachable, IPv6":       {to("2001:db8::3"), divertdrv.ErrUnreachable},
		"shorter than its header": {short, divertdrv.ErrMalformed},
		"no IP packet":            {[]byte("whatever this may be, it has twenty bytes"), divertdrv.ErrMalformed},
		"nothing":                 {nil, divertdrv.ErrMalformed},
	} {
		good := to(b.V4.String())
		for before := range 3 {
			ps := packets(nil)
			for range before {
				ps = append(ps, packets(nil, good)...)
			}
			ps = append(ps, packets(nil, c.data, good)...)
			n, err := in.Inject(ps)
			if n != before || !errors.Is(err, c.want) {
				t.Errorf("%s behind %d: %d, %v", name, before, n, err)
			}
		}
	}
	if n, err := in.Inject(packets(inboundOn(a.Index), to(b.V4.String()))); n != 0 || !errors.Is(err, divertdrv.ErrUnsupported) {
		t.Errorf("inbound without Inbound: %d, %v", n, err)
	}
	if n, err := in.Inject([]divertdrv.Packet{{Data: to(b.V4.String())}}); n != 0 || !errors.Is(err, divertdrv.ErrInvalid) {
		t.Errorf("without an Address: %d, %v", n, err)
	}
}

// What a rule of the host drops went in, and is counted. The rule's own counter is the witness that it went in once; of drops that
// begin when many go at once, the first goes twice (see burst).
func TestOutboundDroppedByRule(t *testing.T) {
	needs(t)
	nettest.Need(t, nettest.Program("iptables", "iptables"))
	a, b := nettest.Pair(t, nettest.NewNamespace(t), nettest.NewNamespace(t))
	a.NS.Command("iptables", "-A", "OUTPUT", "-p", "udp", "--dport", "9", "-j", "DROP")
	in := openIn(t, a.NS, Config{})
	run := func(n int, port func(i int) int) {
		ps := packets(nil)
		for i := range n {
			ps = append(ps, packets(nil, udp(t, a.V4, b.V4, port(i), nil))...)
		}
		mustInject(t, in, ps)
	}
	expect := func(filtered, byRule int) {
		t.Helper()
		if got := in.Stats().Filtered; got != uint64(filtered) {
			t.Errorf("filtered %d, want %d", got, filtered)
		}
		if out := a.NS.Command("iptables", "-nvxL", "OUTPUT"); !strings.Contains(out, fmt.Sprintf("%8d ", byRule)) {
			t.Errorf("the rule saw another number than %d:\n%s", byRule, out)
		}
	}
	run(3*trustMin, func(i int) int { return 9 + i%2 })
	expect(3*trustMin/2, 3*trustMin/2)
	run(trustMin, func(int) int { return 10 })
	expect(3*trustMin/2, 3*trustMin/2)
	run(burstMax, func(i int) int { return 10 - i%2 })
	expect(2*trustMin, 2*trustMin+1)
}

// A full send buffer is an error at once, and no wait: here packets wait for an address that nobody has.
func TestOutboundBusy(t *testing.T) {
	needs(t)
	a, _ := nettest.Pair(t, nettest.NewNamespace(t), nettest.NewNamespace(t))
	in := openIn(t, a.NS, Config{})
	if err := unix.SetsockoptInt(in.bursts[byRaw4].fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 1); err != nil {
		t.Fatal(err)
	}
	nobody := netip.AddrFrom4([4]byte{10, a.V4.As4()[1], a.V4.As4()[2], 99})
	ps := packets(nil)
	for range 200 {
		ps = append(ps, packets(nil, udp(t, a.V4, nobody, 5000, make([]byte, 1000)))...)
	}
	n, err := in.Inject(ps)
	if n == 0 || n == len(ps) || !errors.Is(err, ErrBusy) || in.Stats().Busy != 1 {
		t.Errorf("%d of %d, %v, %+v", n, len(ps), err, in.Stats())
	}
}

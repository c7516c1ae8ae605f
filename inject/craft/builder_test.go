package craft_test

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"pgregory.net/rapid"

	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/inject/craft"
)

var families = []struct {
	name     string
	src, dst netip.Addr
}{
	{"IPv4", netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("192.0.2.7")},
	{"IPv6", netip.MustParseAddr("fd77::1"), netip.MustParseAddr("2001:db8::7")},
}

// witness decodes a whole packet with gopacket and checks its checksums and lengths.
func witness(t testing.TB, b []byte) gopacket.Packet {
	t.Helper()
	first := layers.LayerTypeIPv4
	if b[0]>>4 == 6 {
		first = layers.LayerTypeIPv6
	}
	pkt := gopacket.NewPacket(b, first, gopacket.Default)
	if e := pkt.ErrorLayer(); e != nil {
		t.Fatalf("gopacket: %v in % x", e.Error(), b)
	}
	var h wire.Headers
	wire.Parse(b, &h)
	ip, transport := wire.Verify(b, &h)
	if transport != wire.SumGood || h.Version == 4 && ip != wire.SumGood || h.Truncated || int(h.Total) != len(b) {
		t.Errorf("IP checksum %v, transport's %v, %d bytes of %d", ip, transport, len(b), h.Total)
	}
	return pkt
}

func TestBuilders(t *testing.T) {
	for _, f := range families {
		t.Run(f.name, func(t *testing.T) { rapid.Check(t, func(t *rapid.T) { testBuilders(t, f.src, f.dst) }) })
	}
}

func testBuilders(t *rapid.T, from, to netip.Addr) {
	src := netip.AddrPortFrom(from, rapid.Uint16().Draw(t, "source port"))
	dst := netip.AddrPortFrom(to, rapid.Uint16().Draw(t, "destination port"))
	payload := rapid.SliceOfN(rapid.Byte(), 1, 200).Draw(t, "payload")

	b, err := craft.UDP(src, dst, payload)
	if err != nil {
		t.Fatal(err)
	}
	u := decodeUDP(t, b)
	if uint16(u.SrcPort) != src.Port() || uint16(u.DstPort) != dst.Port() || !bytes.Equal(u.Payload, payload) {
		t.Fatalf("UDP %+v", u)
	}

	s := craft.Segment{
		Seq: rapid.Uint32().Draw(t, "seq"), Ack: rapid.Uint32().Draw(t, "ack"), Window: rapid.Uint16().Draw(t, "window"),
		Flags: wire.SYN | wire.ACK, Options: rapid.SampledFrom([][]byte{nil, {2, 4, 5, 180}, {1, 3, 3, 7, 0}}).Draw(t, "options"),
	}
	if b, err = craft.TCP(src, dst, s, payload); err != nil {
		t.Fatal(err)
	}
	var h wire.Headers
	wire.Parse(b, &h)
	tcp := h.TCP(b)
	if tcp.Seq() != s.Seq || tcp.Ack() != s.Ack || tcp.Flags() != s.Flags || tcp.Window() != s.Window || !bytes.Equal(h.Payload(b), payload) ||
		!bytes.HasPrefix(b[h.TransportOff+wire.TCPHeaderLen:], s.Options) {
		t.Fatalf("TCP % x", b)
	}
	if ip, sum := wire.Verify(b, &h); sum != wire.SumGood || h.Version == 4 && ip != wire.SumGood {
		t.Fatalf("checksums: IP %v, TCP %v", ip, sum)
	}
}

func decodeUDP(t *rapid.T, b []byte) *layers.UDP {
	first := layers.LayerTypeIPv4
	if b[0]>>4 == 6 {
		first = layers.LayerTypeIPv6
	}
	u, ok := gopacket.NewPacket(b, first, gopacket.Default).Layer(layers.LayerTypeUDP).(*layers.UDP)
	if !ok {
		t.Fatalf("no UDP in % x", b)
	}
	return u
}

func TestEcho(t *testing.T) {
	for _, f := range families {
		b, err := craft.Echo(f.src, f.dst, 77, 3, []byte("ping"))
		if err != nil {
			t.Fatal(err)
		}
		pkt := witness(t, b)
		if f.src.Is4() {
			m := pkt.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4)
			if m.Id != 77 || m.Seq != 3 || m.TypeCode.Type() != layers.ICMPv4TypeEchoRequest || string(m.Payload) != "ping" {
				t.Errorf("%s: %+v", f.name, m)
			}
			continue
		}
		m := pkt.Layer(layers.LayerTypeICMPv6Echo).(*layers.ICMPv6Echo)
		if m.Identifier != 77 || m.SeqNumber != 3 {
			t.Errorf("%s: %+v", f.name, m)
		}
	}
}

func TestBuildersRefuse(t *testing.T) {
	four, six := netip.AddrPortFrom(families[0].src, 1), netip.AddrPortFrom(families[1].src, 2)
	long := make([]byte, 0x10000)
	for _, c := range []struct {
		name  string
		build func() ([]byte, error)
		want  error
	}{
		{"UDP between versions", func() ([]byte, error) { return craft.UDP(four, six, nil) }, craft.ErrAddresses},
		{"UDP from nowhere", func() ([]byte, error) { return craft.UDP(netip.AddrPort{}, six, nil) }, craft.ErrAddresses},
		{"TCP between versions", func() ([]byte, error) { return craft.TCP(six, four, craft.Segment{}, nil) }, craft.ErrAddresses},
		{"echo to nowhere", func() ([]byte, error) { return craft.Echo(four.Addr(), netip.Addr{}, 0, 0, nil) }, craft.ErrAddresses},
		{"UDP of 65,536 bytes over IPv4", func() ([]byte, error) { return craft.UDP(four, four, long[:65536-28]) }, craft.ErrTooLong},
		{"UDP of 65,536 bytes over IPv6", func() ([]byte, error) { return craft.UDP(six, six, long[:65536-8]) }, craft.ErrTooLong},
		{"41 bytes of TCP options", func() ([]byte, error) { return craft.TCP(four, four, craft.Segment{Options: long[:41]}, nil) }, craft.ErrTooLong},
	} {
		if b, err := c.build(); !errors.Is(err, c.want) || b != nil {
			t.Errorf("%s: %d bytes, %v; want %v", c.name, len(b), err, c.want)
		}
	}
	for _, largest := range []func() ([]byte, error){
		func() ([]byte, error) { return craft.UDP(four, four, long[:65535-28]) },
		func() ([]byte, error) { return craft.UDP(six, six, long[:65535-8]) },
	} {
		if _, err := largest(); err != nil {
			t.Errorf("the largest: %v", err)
		}
	}
}

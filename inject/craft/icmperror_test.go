package craft_test

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"

	"github.com/google/gopacket/layers"

	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/inject/craft"
)

func parsed(t testing.TB, b []byte) *wire.Headers {
	t.Helper()
	var h wire.Headers
	if !wire.Parse(b, &h) {
		t.Fatalf("not a packet: % x", b)
	}
	return &h
}

func datagram(t testing.TB, src, dst netip.Addr, payload int) []byte {
	t.Helper()
	b, err := craft.UDP(netip.AddrPortFrom(src, 5000), netip.AddrPortFrom(dst, 9), bytes.Repeat([]byte{0xa5}, payload))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

type errorKind struct {
	name  string
	build func([]byte, *wire.Headers, netip.Addr) ([]byte, error)
	code4 layers.ICMPv4TypeCode
	code6 layers.ICMPv6TypeCode
	body  uint32
}

func unreachable(why craft.Why) func([]byte, *wire.Headers, netip.Addr) ([]byte, error) {
	return func(b []byte, h *wire.Headers, from netip.Addr) ([]byte, error) {
		return craft.Unreachable(b, h, from, why)
	}
}

// The codes are those of gopacket's tables, not ours.
var errorKinds = []errorKind{
	{
		"no route", unreachable(craft.NoRoute),
		layers.CreateICMPv4TypeCode(layers.ICMPv4TypeDestinationUnreachable, layers.ICMPv4CodeNet),
		layers.CreateICMPv6TypeCode(layers.ICMPv6TypeDestinationUnreachable, layers.ICMPv6CodeNoRouteToDst), 0,
	},
	{
		"host", unreachable(craft.HostUnreachable),
		layers.CreateICMPv4TypeCode(layers.ICMPv4TypeDestinationUnreachable, layers.ICMPv4CodeHost),
		layers.CreateICMPv6TypeCode(layers.ICMPv6TypeDestinationUnreachable, layers.ICMPv6CodeAddressUnreachable), 0,
	},
	{
		"port", unreachable(craft.PortUnreachable),
		layers.CreateICMPv4TypeCode(layers.ICMPv4TypeDestinationUnreachable, layers.ICMPv4CodePort),
		layers.CreateICMPv6TypeCode(layers.ICMPv6TypeDestinationUnreachable, layers.ICMPv6CodePortUnreachable), 0,
	},
	{
		"prohibited", unreachable(craft.Prohibited),
		layers.CreateICMPv4TypeCode(layers.ICMPv4TypeDestinationUnreachable, layers.ICMPv4CodeCommAdminProhibited),
		layers.CreateICMPv6TypeCode(layers.ICMPv6TypeDestinationUnreachable, layers.ICMPv6CodeAdminProhibited), 0,
	},
	{
		"too big", func(b []byte, h *wire.Headers, from netip.Addr) ([]byte, error) {
			return craft.TooBig(b, h, from, 1300)
		},
		layers.CreateICMPv4TypeCode(layers.ICMPv4TypeDestinationUnreachable, layers.ICMPv4CodeFragmentationNeeded),
		layers.CreateICMPv6TypeCode(layers.ICMPv6TypePacketTooBig, 0), 1300,
	},
	{
		"time exceeded", craft.TimeExceeded,
		layers.CreateICMPv4TypeCode(layers.ICMPv4TypeTimeExceeded, layers.ICMPv4CodeTTLExceeded),
		layers.CreateICMPv6TypeCode(layers.ICMPv6TypeTimeExceeded, layers.ICMPv6CodeHopLimitExceeded), 0,
	},
}

func TestICMPErrors(t *testing.T) {
	router4, router6 := netip.MustParseAddr("198.51.100.1"), netip.MustParseAddr("2001:db8:ffff::1")
	for _, k := range errorKinds {
		for _, f := range families {
			for _, payload := range []int{0, 100, 1400} {
				pkt := datagram(t, f.src, f.dst, payload)
				for _, from := range []netip.Addr{{}, router4, router6} {
					if from.IsValid() && from.Is4() != f.src.Is4() {
						continue
					}
					b, err := k.build(pkt, parsed(t, pkt), from)
					if err != nil {
						t.Fatalf("%s, %s: %v", k.name, f.name, err)
					}
					if !from.IsValid() {
						from = f.dst
					}
					k.check(t, b, pkt, from, f.src)
				}
			}
		}
	}
}

func (k *errorKind) check(t *testing.T, b, about []byte, from, to netip.Addr) {
	t.Helper()
	net := witness(t, b).NetworkLayer().NetworkFlow()
	if net.Src().String() != from.String() || net.Dst().String() != to.String() {
		t.Errorf("%s: %v, want from %v to %v", k.name, net, from, to)
	}
	h := parsed(t, b)
	most, m := 1280, h.ICMPv6(b)
	want := uint16(k.code6)
	if h.Version == 4 {
		most, m, want = 576, h.ICMP(b), uint16(k.code4)
	}
	if got := uint16(m.Type())<<8 | uint16(m.Code()); got != want || m.Body() != k.body {
		t.Errorf("%s: type and code %#x, body %d; want %#x, %d", k.name, got, m.Body(), want, k.body)
	}
	quoted := h.Payload(b)
	if len(b) > most || !bytes.HasPrefix(about, quoted) || len(quoted) < len(about) && len(b) != most {
		t.Errorf("%s: %d bytes quote %d of %d", k.name, len(b), len(quoted), len(about))
	}
}

// RFC 1122 3.2.2, RFC 1812 4.3.2.7, RFC 4443 2.4 e: what must not be answered.
func TestNoErrorAbout(t *testing.T) {
	v4, v6 := families[0], families[1]
	anError := func(f int) []byte {
		about := datagram(t, families[f].src, families[f].dst, 10)
		b, err := craft.TimeExceeded(about, parsed(t, about), netip.Addr{})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	later := datagram(t, v4.src, v4.dst, 10)
	later[7] = 1
	cut := anError(0)[:24]
	many6 := datagram(t, v6.src, netip.MustParseAddr("ff02::1"), 10)
	for name, b := range map[string][]byte{
		"an ICMP error":               anError(0),
		"an ICMPv6 error":             anError(1),
		"an ICMP message cut off":     cut,
		"a later fragment":            later,
		"a multicast":                 datagram(t, v4.src, netip.MustParseAddr("224.0.0.1"), 10),
		"a broadcast":                 datagram(t, v4.src, netip.MustParseAddr("255.255.255.255"), 10),
		"from nobody":                 datagram(t, netip.MustParseAddr("0.0.0.0"), v4.dst, 10),
		"from nobody, IPv6":           datagram(t, netip.MustParseAddr("::"), v6.dst, 10),
		"from many":                   datagram(t, netip.MustParseAddr("224.0.0.1"), v4.dst, 10),
		"a multicast, IPv6, exceeded": many6,
	} {
		if _, err := craft.TimeExceeded(b, parsed(t, b), netip.Addr{}); !errors.Is(err, craft.ErrNoError) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := craft.TooBig(many6, parsed(t, many6), v6.dst, 1280); err != nil {
		t.Errorf("RFC 4443 2.4 e.3: a multicast that is too big may be answered: %v", err)
	}
	var none wire.Headers
	if _, err := craft.TimeExceeded(nil, &none, netip.Addr{}); !errors.Is(err, craft.ErrNoError) {
		t.Errorf("nothing: %v", err)
	}
	about := datagram(t, v4.src, v4.dst, 0)
	if _, err := craft.Unreachable(about, parsed(t, about), v6.src, craft.NoRoute); !errors.Is(err, craft.ErrAddresses) {
		t.Errorf("from another IP version: %v", err)
	}
	if _, err := craft.Unreachable(about, parsed(t, about), netip.Addr{}, 99); err == nil {
		t.Error("reason 99 was taken")
	}
}

// FuzzICMPError: any bytes give a valid error that quotes them, or ErrNoError.
func FuzzICMPError(f *testing.F) {
	for _, fam := range families {
		f.Add(datagram(f, fam.src, fam.dst, 20))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var h wire.Headers
		wire.Parse(b, &h)
		for _, k := range errorKinds {
			out, err := k.build(b, &h, netip.Addr{})
			if err == nil {
				witness(t, out)
			} else if !errors.Is(err, craft.ErrNoError) {
				t.Fatalf("%s: %v", k.name, err)
			}
		}
	})
}

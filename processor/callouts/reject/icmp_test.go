package reject

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/processor"
)

// ends4 and ends6 are this host and a peer.
var (
	ends4 = segment{src: "10.0.0.1", dst: "10.0.0.2"}
	ends6 = segment{src: "fd00::1", dst: "fd00::2"}
)

func (s segment) datagram(t testing.TB, port uint16, payload int) []byte {
	t.Helper()
	udp := &layers.UDP{SrcPort: 4000, DstPort: layers.UDPPort(port)}
	return s.serialize(t, layers.IPProtocolUDP, udp, gopacket.Payload(make([]byte, payload)))
}

func (s segment) back() segment { return segment{src: s.dst, dst: s.src} }

// readError decodes an ICMP error by gopacket: who says what, and about which bytes.
func readError(t *testing.T, b []byte) (says string, about []byte) {
	t.Helper()
	first := layers.LayerTypeIPv4
	if b[0]>>4 == 6 {
		first = layers.LayerTypeIPv6
	}
	p := gopacket.NewPacket(b, first, gopacket.Default)
	flow := p.NetworkLayer().NetworkFlow()
	if m, ok := p.Layer(layers.LayerTypeICMPv4).(*layers.ICMPv4); ok {
		return fmt.Sprintf("%v %v", flow, m.TypeCode), m.Payload
	}
	m, ok := p.Layer(layers.LayerTypeICMPv6).(*layers.ICMPv6)
	if !ok {
		t.Fatalf("no ICMP: %x", b)
	}
	return fmt.Sprintf("%v %v", flow, m.TypeCode), m.Payload[4:]
}

// The error comes from the packet's destination and goes to its sender: up into this host, or down out of it.
func TestICMPError(t *testing.T) {
	for _, c := range []struct {
		icmp   string
		v4, v6 string
	}{
		{"", "DestinationUnreachable(Port)", "DestinationUnreachable(PortUnreachable)"},
		{"port-unreachable", "DestinationUnreachable(Port)", "DestinationUnreachable(PortUnreachable)"},
		{"host-unreachable", "DestinationUnreachable(Host)", "DestinationUnreachable(AddressUnreachable)"},
		{"no-route", "DestinationUnreachable(Net)", "DestinationUnreachable(NoRouteToDst)"},
		{"admin-prohibited", "DestinationUnreachable(CommAdminProhibited)", "DestinationUnreachable(AdminProhibited)"},
	} {
		for want, ends := range map[string]segment{c.v4: ends4, c.v6: ends6} {
			t.Run(c.icmp+" "+ends.src, func(t *testing.T) {
				out := New("x", Config{ICMP: c.icmp})
				in := New("x", Config{ICMP: c.icmp, To: "receiver"}) // to is about TCP
				x := newPlace(t, divertdrv.Network, 0, nil, rejects(processor.OutboundTransport, out),
					processor.Filter{Name: "in", Layer: processor.InboundTransport, Action: processor.ActionCalloutTerminating, Callout: in})
				leaves, comes := ends.datagram(t, 53, 2000), ends.back().datagram(t, 54, 3)
				x.must(x.sim.Send(leaves))
				x.must(x.sim.Receive(comes))
				s := x.finish()
				if s.Dropped[reason.Rejected] != 2 || len(x.host) != 1 || len(x.wire) != 1 || s.Completed != 2 {
					t.Fatalf("%+v, %d up, %d down", s, len(x.host), len(x.wire))
				}
				for _, e := range []struct{ got, about []byte }{{x.host[0], leaves}, {x.wire[0], comes}} {
					says, about := readError(t, e.got)
					from := ends.dst + "->" + ends.src
					if &e.about[0] == &comes[0] {
						from = ends.src + "->" + ends.dst
					}
					if says != from+" "+want || !bytes.HasPrefix(e.about, about) || len(about) < 28 {
						t.Errorf("%q about %d bytes, want %q", says, len(about), from+" "+want)
					}
				}
				if out.Stats() != (Stats{Unreachable: 1}) || in.Stats() != (Stats{Unreachable: 1}) {
					t.Errorf("%+v, %+v", out.Stats(), in.Stats())
				}
			})
		}
	}
}

// RFC 1122 3.2.2, RFC 4443 2.4 e: no error about an error, a later fragment, or what many receive.
func TestNoICMPErrorAbout(t *testing.T) {
	c := New("x", Config{})
	x := newPlace(t, divertdrv.Network, 0, nil, rejects(processor.OutboundIPPacket, c))
	later := ends4.datagram(t, 53, 8)
	later[7] = 1
	many := segment{src: "10.0.0.1", dst: "224.0.0.251"}.datagram(t, 5353, 8)
	unreachable := ends4.serialize(t, layers.IPProtocolICMPv4, &layers.ICMPv4{
		TypeCode: layers.CreateICMPv4TypeCode(layers.ICMPv4TypeDestinationUnreachable, layers.ICMPv4CodePort),
	}, gopacket.Payload(ends4.datagram(t, 1, 0)))
	packets := [][]byte{later, many, unreachable}
	for _, p := range packets {
		x.must(x.sim.Send(p))
	}
	s := x.finish()
	if s.Dropped[reason.Rejected] != uint64(len(packets)) || s.Injected != 0 || c.Stats() != (Stats{Unanswerable: uint64(len(packets))}) {
		t.Errorf("%+v, %+v", s, c.Stats())
	}
}

// Errors are limited, so that nobody can have this host flood another: what is beyond is blocked all the same.
func TestICMPErrorsAreLimited(t *testing.T) {
	c := New("x", Config{Rate: 1})
	x := newPlace(t, divertdrv.Network, 0, nil, rejects(processor.OutboundTransport, c))
	const packets = 120
	for i := range packets {
		x.must(x.sim.Send(ends4.datagram(t, uint16(i+1), 1)))
	}
	s := x.finish()
	got := c.Stats()
	const burst = 50 // craft.BurstDefault
	if got.Unreachable < burst || got.Unreachable > burst+5 || got.Unreachable+got.Limited != packets || s.Dropped[reason.Rejected] != packets {
		t.Errorf("%+v, %+v", got, s)
	}
}

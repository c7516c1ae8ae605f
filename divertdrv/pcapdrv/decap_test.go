package pcapdrv_test

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/weirnet/weir/divertdrv/pcapdrv"
)

var packet6 = ipv6([16]byte{0x20, 1, 15: 1}, [16]byte{0x20, 1, 15: 2}, 17, udp("six"))

func be(words ...uint16) (b []byte) {
	for _, w := range words {
		b = binary.BigEndian.AppendUint16(b, w)
	}
	return b
}

func sll(kind, hardware, proto uint16) []byte {
	return append(be(kind, hardware, 6, 0x0200, 0, 1, 0), be(proto)...)
}

func sll2(kind byte, hardware, proto uint16) []byte {
	return append(append(be(proto, 0, 0, 3, hardware), kind, 6), 2, 0, 0, 0, 0, 1, 0, 0)
}

var etherHead = ether(0, nil)[:12]

// links has a header for each way that IP comes in: what is before it, and what that says.
var links = []struct {
	name      string
	link      pcapdrv.LinkType
	header    []byte
	six       bool
	direction pcapdrv.Direction
	loopback  bool
}{
	{name: "ethernet", link: 1, header: append(etherHead[:12:12], be(0x0800)...)},
	{name: "ethernet IPv6", link: 1, header: append(etherHead[:12:12], be(0x86dd)...), six: true},
	{name: "VLAN", link: 1, header: append(etherHead[:12:12], be(0x8100, 5, 0x0800)...)},
	{name: "QinQ", link: 1, header: append(etherHead[:12:12], be(0x88a8, 5, 0x8100, 6, 0x86dd)...), six: true},
	{name: "old QinQ", link: 1, header: append(etherHead[:12:12], be(0x9100, 5, 0x8100, 6, 0x0800)...)},
	{name: "802.3 SNAP", link: 1, header: append(etherHead[:12:12], be(64, 0xaaaa, 0x0300, 0, 0x0800)...)},
	{name: "PPPoE", link: 1, header: append(etherHead[:12:12], be(0x8864, 0x1100, 7, 64, 0x21)...)},
	{name: "raw", link: 101},
	{name: "raw IPv6", link: 101, six: true},
	{name: "raw BSD", link: 12},
	{name: "raw OpenBSD", link: 14, six: true},
	{name: "IPv4", link: 228},
	{name: "IPv6", link: 229, six: true},
	{name: "NULL little", link: 0, header: []byte{2, 0, 0, 0}},
	{name: "NULL big", link: 0, header: []byte{0, 0, 0, 2}},
	{name: "NULL Darwin", link: 0, header: []byte{30, 0, 0, 0}, six: true},
	{name: "NULL FreeBSD big", link: 0, header: []byte{0, 0, 0, 28}, six: true},
	{name: "LOOP", link: 108, header: []byte{0, 0, 0, 24}, six: true},
	{name: "SLL to us", link: 113, header: sll(0, 1, 0x0800), direction: pcapdrv.Inbound},
	{name: "SLL by us", link: 113, header: sll(4, 1, 0x86dd), six: true, direction: pcapdrv.Outbound},
	{name: "SLL lo", link: 113, header: sll(0, 772, 0x0800), direction: pcapdrv.Inbound, loopback: true},
	{name: "SLL VLAN", link: 113, header: append(sll(2, 1, 0x8100), be(3, 0x0800)...), direction: pcapdrv.Inbound},
	{name: "SLL2 to us", link: 276, header: sll2(0, 1, 0x86dd), six: true, direction: pcapdrv.Inbound},
	{name: "SLL2 by us", link: 276, header: sll2(4, 1, 0x0800), direction: pcapdrv.Outbound},
	{name: "SLL2 lo", link: 276, header: sll2(0, 772, 0x0800), direction: pcapdrv.Inbound, loopback: true},
	{name: "PPP", link: 9, header: be(0x0021)},
	{name: "PPP framed", link: 9, header: be(0xff03, 0x0057), six: true},
	{name: "PPP short", link: 9, header: []byte{0x21}},
	{name: "PPP HDLC", link: 50, header: be(0xff03, 0x0021)},
	{name: "PPP received", link: 204, header: []byte{0, 0xff, 3, 0, 0x21}, direction: pcapdrv.Inbound},
	{name: "PPP sent", link: 204, header: []byte{1, 0xff, 3, 0, 0x57}, six: true, direction: pcapdrv.Outbound},
	{name: "Cisco HDLC", link: 104, header: be(0x0f00, 0x0800)},
}

func TestDecapLinks(t *testing.T) {
	for _, l := range links {
		t.Run(l.name, func(t *testing.T) {
			ip := packetAB
			if l.six {
				ip = packet6
			}
			frame := append(l.header[:len(l.header):len(l.header)], ip...)
			padded := append(frame[:len(frame):len(frame)], "PADDING"...)
			for _, data := range [][]byte{frame, padded} {
				c := pcapdrv.Decap(pcapdrv.Frame{Link: l.link, Data: data})
				if !bytes.Equal(c.IP, ip) || c.Direction != l.direction || c.Loopback != l.loopback {
					t.Errorf("%+v\nwant IP % x, %v, loopback %v", c, ip, l.direction, l.loopback)
				}
			}
			for n := range len(frame) { // cut short by the capture: kept, or without a whole header a bystander
				c := pcapdrv.Decap(pcapdrv.Frame{Link: l.link, Data: frame[:n]})
				whole := n-len(l.header) >= 20 && (!l.six || n-len(l.header) >= 40)
				switch {
				case whole && !bytes.Equal(c.IP, frame[len(l.header):n]):
					t.Errorf("cut at %d: % x", n, c.IP)
				case !whole && (c.IP != nil || c.Reason == pcapdrv.UnsupportedLink):
					t.Errorf("cut at %d: %+v", n, c)
				}
			}
		})
	}
}

// What is not an IP packet is a bystander, with the reason in words.
func TestDecapBystanders(t *testing.T) {
	zeroLength := bytes.Clone(packet6)
	copy(zeroLength[4:], []byte{0, 0})
	offloaded := bytes.Clone(packetAB)
	copy(offloaded[2:], []byte{0, 0})
	for _, c := range []struct {
		name string
		link pcapdrv.LinkType
		data []byte
		says string
	}{
		{"ARP", 1, ether(0x0806, make([]byte, 28)), "1 frames of link type 1 (ETHERNET) without IP: ARP"},
		{"own EtherType", 1, ether(0x88b5, nil), "protocol 0x88b5"},
		{"spanning tree", 1, ether(38, []byte{0x42, 0x42, 3, 0}), "link type 1 (ETHERNET) without IP"},
		{"nine tags", 1, ether(0x8100, bytes.Repeat(be(1, 0x8100), 9)), "protocol 0x8100"},
		{"IPv6 in IPv4's EtherType", 1, ether(0x0800, packet6), "without a whole IP header"},
		{"IPv4 in a link for IPv6", 229, packetAB, "without a whole IP header"},
		{"IPv4 of length 0", 101, offloaded, "without a whole IP header"},
		{"IPv6 of length 0 with more behind", 101, zeroLength, "without a whole IP header"},
		{"nothing", 101, nil, "without a whole IP header"},
		{"PPPoE of another version", 1, ether(0x8864, []byte("\x21\x00\x00\x00\x00\x00")), "without a whole IP header"},
		{"LCP", 9, be(0xff03, 0xc021), "protocol 0xc021"},
		{"AppleTalk", 0, []byte{16, 0, 0, 0}, "protocol 0x0010"},
		{"802.11", 105, packetAB, "link type 105 (IEEE802_11), which is not supported"},
		{"radiotap", 127, nil, "127 (IEEE802_11_RADIOTAP)"},
		{"USB", 220, nil, "220 (USB_LINUX_MMAPPED)"},
		{"not in the registry", 9999, nil, "link type 9999, which"},
	} {
		got := pcapdrv.Decap(pcapdrv.Frame{Link: c.link, Data: c.data})
		b := pcapdrv.Bystander{Link: c.link, Reason: got.Reason, Protocol: got.Protocol, Frames: 1}
		if got.IP != nil || !strings.Contains(b.String(), c.says) {
			t.Errorf("%s: %+v: %q, want it to say %q", c.name, got, b, c.says)
		}
	}
}

// An IPv6 header with nothing behind it but padding has the length 0 rightly.
func TestDecapNoNextHeader(t *testing.T) {
	ip := ipv6([16]byte{1}, [16]byte{2}, 59, nil)
	c := pcapdrv.Decap(pcapdrv.Frame{Link: 1, Data: append(ether(0x86dd, ip), make([]byte, 6)...)})
	if !bytes.Equal(c.IP, ip) {
		t.Errorf("%+v", c)
	}
}

// No bytes of any link type make decap fail, and what it returns lies in the frame.
func TestDecapAnything(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		l := rapid.SampledFrom(links).Draw(r, "link")
		data := rapid.SliceOfN(rapid.Byte(), 0, 80).Draw(r, "data")
		if rapid.Bool().Draw(r, "with header") {
			data = append(l.header[:len(l.header):len(l.header)], data...)
		}
		if c := pcapdrv.Decap(pcapdrv.Frame{Link: l.link, Data: data}); c.IP != nil && !bytes.Contains(data, c.IP) {
			r.Fatalf("%+v is not in % x", c, data)
		}
	})
}

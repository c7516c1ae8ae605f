package pcapdrv_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/weirnet/weir/divertdrv/pcapdrv"
)

func from(src, dst string) []byte {
	s, d := netip.MustParseAddr(src), netip.MustParseAddr(dst)
	if s.Is4() {
		return ipv4(s.As4(), d.As4(), 17, udp("x"))
	}
	return ipv6(s.As16(), d.As16(), 17, udp("x"))
}

// The rule of the package comment, packet by packet of one capture: > out, < in, o loopback.
func TestDirection(t *testing.T) {
	for _, c := range []struct{ name, local, packets, want string }{
		{"first source", "", "10.0.0.1>10.0.0.2 10.0.0.2>10.0.0.1 10.0.0.3>10.0.0.2 10.0.0.1>10.0.0.3", "><<>"},
		{"each family", "", "10.0.0.1>10.0.0.2 2001:db8::1>2001:db8::2 2001:db8::2>2001:db8::1 10.0.0.2>10.0.0.1", ">><<"},
		{"link-local apart", "", "fe80::1>ff02::1 2001:db8::1>2001:db8::2 fe80::2>fe80::1 fe80::1>fe80::2", ">><>"},
		{"who does not count", "", "0.0.0.0>255.255.255.255 255.255.255.255>10.0.0.9 224.0.0.1>10.0.0.9 " +
			"::>ff02::16 ff02::1>2001:db8::1 10.0.0.1>10.0.0.2", "<<<<<>"},
		{"loopback addresses", "", "127.0.0.1>127.0.0.53 ::1>::1 10.0.0.1>10.0.0.1 10.0.0.1>127.0.0.1", "oooo"},
		{"named", "10.0.0.2/32", "10.0.0.1>10.0.0.2 10.0.0.2>10.0.0.1 127.0.0.1>127.0.0.1", "<>o"},
		{
			"named net", "10.0.0.0/8,2001:db8::/32", "10.0.0.1>192.0.2.1 192.0.2.1>10.9.9.9 10.0.0.1>10.0.0.2 2001:db8::9>2001:db9::1",
			"><o>",
		},
		{"named other family", "2001:db8::/32", "10.0.0.1>10.0.0.2 2001:db8::9>2001:db9::1", "<>"},
		{"told outbound", "", "10.0.0.2>10.0.0.1/out 10.0.0.1>10.0.0.2 10.0.0.2>10.0.0.1", "><>"},
		{"told inbound does not teach", "", "10.0.0.2>10.0.0.1/in 10.0.0.1>10.0.0.2 10.0.0.2>10.0.0.1", "<><"},
		{"told wins over named", "10.0.0.0/8", "10.0.0.1>10.0.0.2/in 10.0.0.1>10.0.0.2/out 127.0.0.1>127.0.0.1/in", "<>o"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := (&ng{order: orders["little"]}).section(0).iface(101, 0)
			for i, p := range strings.Fields(c.packets) {
				ends, told, _ := strings.Cut(p, "/")
				src, dst, _ := strings.Cut(ends, ">")
				flags := map[string]uint32{"in": 1, "out": 2}[told]
				n.enhanced(0, uint64(i), rec{data: from(src, dst)}, n.opt(2, n.AppendUint32(nil, flags)))
			}
			o := pcapdrv.Options{Reader: bytes.NewReader(n.b)}
			for p := range strings.SplitSeq(c.local, ",") {
				if p != "" {
					o.Local = append(o.Local, netip.MustParsePrefix(p))
				}
			}
			var got strings.Builder
			for _, p := range receiveAll(t, open(t, o)) {
				got.WriteString(direction(p.Outbound(), p.Loopback()))
			}
			if got.String() != c.want {
				t.Errorf("%s: got %s, want %s", c.packets, got.String(), c.want)
			}
		})
	}
}

func direction(outbound, loopback bool) string {
	switch fmt.Sprint(outbound, loopback) {
	case "true false":
		return ">"
	case "false false":
		return "<"
	case "true true":
		return "o"
	}
	return "?"
}

func TestDirectionNames(t *testing.T) {
	if got := fmt.Sprint(pcapdrv.Unknown, pcapdrv.Inbound, pcapdrv.Outbound); got != "unknown inbound outbound" {
		t.Error(got)
	}
}

package filter

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/wire"
)

// terms joins n terms, each with its number in it.
func terms(n int, join, format string) string {
	var all []string
	for i := range n {
		all = append(all, strings.ReplaceAll(format, "#", fmt.Sprint(i)))
	}
	return strings.Join(all, join)
}

// TestNodes: how many steps Match takes at most is what the optimiser is for.
func TestNodes(t *testing.T) {
	for _, tt := range []struct {
		name, src string
		nodes     int
	}{
		{"ranges of one field", ranges(20, 77), 1},
		{"ports", "tcp.DstPort == 80 or tcp.DstPort == 443 or tcp.DstPort >= 8000 and tcp.DstPort <= 8100", 1},
		{"excluded ports", "not tcp.DstPort == 80 and not tcp.DstPort == 443", 1},
		{"addresses of both families", "remoteAddr == 10.0.0.1 or remoteAddr == ::1", 1},
		{"two fields", "tcp.DstPort == 80 or tcp.SrcPort == 80", 2},
		{"two words", "packet[0] == 1 or packet[1] == 1", 2},
		{"a ternary over one field", "(tcp.DstPort < 1024 ? tcp.DstPort == 80 : tcp.DstPort == 8080) and outbound", 1},
		{"medium", mediumFilter, 2},
		{"facts", "outbound and !loopback and !impostor and tcp and !fragment", 1},
		{"one of several facts", "tcp or udp or icmp", 1},
		{"a fact that follows", "tcp and not udp and tcp.DstPort == 80", 1},
		{"a fact and its opposite", "outbound and tcp or inbound and tcp", 1},
		{"guards before", terms(20, " or ", "outbound and tcp and tcp.DstPort == 80#"), 1},
		{"guards behind", terms(20, " or ", "tcp.DstPort == 80# and outbound and !loopback"), 1},
		{"guards between", terms(20, " or ", "ip.DstAddr >= 10.#.1.0 and tcp and ip.DstAddr <= 10.#.1.255"), 1},
		{"two sets, mixed up", terms(60, " or ", "tcp.DstPort == 1# or udp.DstPort == 2#"), 2},
		{"either end", terms(60, " or ", "ip.SrcAddr == 10.0.0.# or ip.DstAddr == 10.0.0.#"), 2},
		{"excluded pairs", terms(60, " and ", "localPort != # and remotePort != #"), 2},
		{"pairs: a set that leads to the port of each", terms(20, " or ", "ip.DstAddr == 10.0.0.# and tcp.DstPort == 80#"), 21},
		{"an address that comes twice", "ip.DstAddr == 10.0.0.1 and tcp.DstPort == 80 or ip.DstAddr == 10.0.0.1 and tcp.DstPort == 443", 2},
		{"what cannot be any more", "ip.TTL < 5 and tcp.Syn and ip.TTL > 9", 0},
		{"nothing", "tcp and not tcp", 0},
	} {
		for layer := range addr.Layer(2) {
			p, err := Parse(tt.src, layer)
			if err != nil {
				continue // not at FORWARD
			}
			if got := len(p.code.nodes); got != tt.nodes {
				t.Errorf("%s, %s: %d nodes, want %d: %s", layer, tt.name, got, tt.nodes, clip(tt.src))
			}
		}
	}
}

// TestGuardsStay: a step that stands for several is guarded by what is known on the way to each.
func TestGuardsStay(t *testing.T) {
	a, pkt, _ := hotPacket()
	pkt[9] = wire.ProtoUDP // to port 443
	for _, src := range []string{
		"(outbound ? tcp.DstPort == 443 : tcp and tcp.DstPort == 443)",
		"(outbound ? tcp and tcp.DstPort == 443 : tcp.DstPort == 443)",
		"(ip.TTL > 5 ? tcp.DstPort == 443 and ip.DF : tcp and tcp.DstPort == 443 and ip.DF)",
	} {
		p := mustParse(t, src, addr.Network)
		if p.Match(&a, pkt, nil) {
			t.Errorf("%q matches UDP", src)
		}
	}
}

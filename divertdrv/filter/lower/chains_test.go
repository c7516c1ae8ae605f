package lower_test

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/filter/lower"
)

// Comparisons of one field behind each other, with constants that are close: they become one search, which must be right at
// each bound.
func TestChains(t *testing.T) {
	tr := newTrial(11, inMachine)
	for _, c := range []struct {
		field    string
		constant func(v int) string
	}{
		{"ip.TTL", func(v int) string { return fmt.Sprint(v) }},
		{"tcp.DstPort", func(v int) string { return fmt.Sprint(v + 440) }},
		{"remotePort", func(v int) string { return fmt.Sprint(v + 440) }},
		{"ip.DstAddr", func(v int) string { return fmt.Sprintf("10.0.0.%d", v) }},
		{"ipv6.DstAddr", func(v int) string { return []string{"2001:db8::fff", "2001:db8::1:"}[v/8] + fmt.Sprintf("%x", v) }},
		{"remoteAddr", func(v int) string { return []string{"10.0.0.", "10.0.1."}[v/8] + fmt.Sprint(v) }},
		{"tcp.Payload[2]", func(v int) string { return fmt.Sprint(v) }},
		{"packet16[-1]", func(v int) string { return fmt.Sprint(v) }},
		{"length", func(v int) string { return fmt.Sprint(v + 40) }},
	} {
		for range 200 {
			var terms []string
			for range 2 + tr.IntN(7) {
				op := []string{"==", "!=", "<", "<=", ">", ">="}[tr.IntN(6)]
				terms = append(terms, c.field+op+c.constant(tr.IntN(16)), []string{"or", "and"}[tr.IntN(2)])
			}
			terms = append(terms, []string{"udp", "ipv6", "tcp", "false", "icmp"}[tr.IntN(5)])
			p := mustParse(t, strings.Join(terms, " "), addr.Network)
			if tr.chance(30) {
				p = tr.rewired(t, p, 20)
			}
			tr.filter(t, p, &lower.Output, tr.near(16))
		}
	}
	tr.shares(t)
}

// near returns packets whose fields have values from 0 to 15 above the least in the chains.
func (d dice) near(n int) (packets [][]byte) {
	for range n {
		v := byte(d.IntN(16))
		tcp := make([]byte, 20, 60)
		binary.BigEndian.PutUint16(tcp[2:], 440+uint16(v))
		tcp[12] = 5 << 4
		switch proto := []byte{6, 6, 6, 17}[d.IntN(4)]; {
		case d.chance(60):
			tcp = append(tcp, 0, 0, v, 0, v)[:20+min(int(v), 5)]
			b := d.ipv4(proto, tcp)
			b[6], b[7], b[8], b[19] = 0, 0, v, v
			b[18] = byte(d.IntN(2))
			packets = append(packets, b)
		default:
			tcp = append(tcp, 0, 0, v, 0, v)
			b := d.ipv6(proto, tcp)
			b[36], b[37], b[38], b[39] = 0, 0, 0x0f, 0xf0|v
			if d.chance(50) {
				b[37], b[38], b[39] = 1, 0, v
			}
			packets = append(packets, b)
		}
	}
	return packets
}

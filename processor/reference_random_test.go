package processor

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"

	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/inject/craft"
	"github.com/weirnet/weir/processor/internal/naive"
)

// bytes returns a packet of one of the world's flows, in either direction, or one that is broken.
func (w *world) bytes() (data []byte, outbound bool) {
	rng := w.rng
	ends, back := pick(rng, w.ends...), rng.IntN(2) == 0
	outbound = !back != (rng.IntN(12) == 0)
	if back {
		ends[0], ends[1] = ends[1], ends[0]
	}
	src, dst := ends[0], ends[1]
	switch rng.IntN(24) {
	default:
		flags := pick(rng, wire.SYN, wire.SYN, wire.SYN|wire.ACK, wire.SYN|wire.ACK, wire.ACK, wire.ACK, wire.ACK, wire.ACK|wire.FIN, wire.RST, wire.RST|wire.ACK, 0)
		data = must(craft.TCP(src, dst, craft.Segment{Seq: 1, Ack: 2, Flags: flags}, make([]byte, rng.IntN(20))))
	case 0, 1, 2, 3, 4, 5:
		data = must(craft.UDP(src, dst, make([]byte, rng.IntN(40))))
	case 6, 7:
		data = must(craft.Echo(src.Addr(), dst.Addr(), uint16(rng.IntN(2)), 2, nil))
		if rng.IntN(2) == 0 {
			_ = craft.Reply(data, headersOf(data))
		}
	case 8, 9:
		sent := must(craft.UDP(dst, src, make([]byte, 8)))
		if data = must(craft.Unreachable(sent, headersOf(sent), netip.Addr{}, craft.PortUnreachable)); rng.IntN(2) == 0 {
			data = must(craft.TimeExceeded(sent, headersOf(sent), src.Addr()))
		}
	case 10: // another protocol, another kind of ICMP
		data = must(craft.Echo(src.Addr(), dst.Addr(), 1, 2, nil))
		if src.Addr().Is4() {
			data[9] = pick(rng, byte(47), 1)
			data[20] = pick(rng, byte(13), 3, 8)
		} else {
			data[40] = pick(rng, byte(133), 1, 130)
		}
	}
	if rng.IntN(8) == 0 {
		data = spoil(rng, data)
	}
	return data, outbound
}

// spoil makes a packet a fragment, gives it extension headers, or breaks it.
func spoil(rng *rand.Rand, b []byte) []byte {
	v4 := b[0]>>4 == 4
	switch rng.IntN(5) {
	case 0:
		return b[:rng.IntN(len(b))]
	case 1:
		b[rng.IntN(len(b))] ^= 1 << rng.IntN(8)
		if !v4 && slices.Contains([]byte{51, 135}, b[6]) { // extension headers that the reference does not walk
			b[6] = 59
		}
		return b
	}
	if v4 {
		b[6], b[7] = byte(rng.IntN(2))<<5, byte(rng.IntN(2))
		return b
	}
	kind := pick(rng, byte(44), 44, 0, 60)
	ext := []byte{b[6], 0, 0, byte(rng.IntN(2)) | byte(rng.IntN(2))<<3, 0, 0, 0, 7}
	b[6] = kind
	b = slices.Insert(b, 40, ext...)
	b[5] += 8
	return b
}

// randomCondition returns a random condition, as the reference has it and as text.
func randomCondition(rng *rand.Rand, forward bool) (c naive.Condition, text string) {
	c = naive.Condition{nil}
	for i := range 1 + rng.IntN(4) {
		test, s := randomTest(rng, forward)
		switch {
		case i == 0:
		case rng.IntN(3) == 0:
			c = append(c, nil)
			text += " or "
		default:
			text += " and "
		}
		c[len(c)-1] = append(c[len(c)-1], test)
		text += s
	}
	return c, text
}

func randomTest(rng *rand.Rand, forward bool) (naive.Test, string) {
	switch rng.IntN(5) {
	case 0, 1:
		a := netip.MustParseAddr(pick(rng, fewAddrs...))
		field := map[bool]string{true: "ip.", false: "ipv6."}[a.Is4()] + pick(rng, "SrcAddr", "DstAddr")
		t := naive.Test{Field: field, Op: pick(rng, "==", "==", "==", "!=", "<", ">", "<=", ">="), Addr: a}
		return t, fmt.Sprintf("%s %s %v", t.Field, t.Op, a)
	case 2, 3:
		t := naive.Test{Field: pick(rng, "tcp.", "tcp.", "udp.") + pick(rng, "SrcPort", "DstPort"), Op: pick(rng, "==", "==", "==", "!=", "<", ">"), Port: pick(rng, fewPorts...)}
		return t, fmt.Sprintf("%s %s %d", t.Field, t.Op, t.Port)
	}
	word := pick(rng, "tcp", "udp", "icmp", "icmpv6", "ip", "ipv6", "fragment", "tcp.Syn", "tcp.Rst", "true", "outbound", "inbound")
	if forward && (word == "outbound" || word == "inbound") {
		word = "true"
	}
	return naive.Test{Field: word}, word
}

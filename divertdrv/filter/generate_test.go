package filter

import (
	"encoding/binary"
	"fmt"
	"math/big"
	"net/netip"
	"slices"
	"strings"

	"github.com/weirnet/weir/divertdrv/addr"
)

// dice returns a number of 0..n-1; rapid's can shrink, a seeded generator's is fast.
type dice func(n int) int

func (d dice) one(of ...string) string { return of[d(len(of))] }

func (d dice) chance(percent int) bool { return d(100) < percent }

// event returns a random address of a layer.
func (d dice) event(layer addr.Layer) addr.Address {
	var raw [addr.Size]byte
	for i := range raw {
		if d.chance(30) {
			raw[i] = byte(d(256))
		}
	}
	raw[8] = byte(layer)
	raw[9] = byte(d(10))
	raw[10] = byte(d(256))
	raw[11] = 0
	if layer == addr.LayerFlow || layer == addr.LayerSocket {
		for _, at := range []int{16 + 20, 16 + 36} {
			if d.chance(60) { // IPv4, mapped
				copy(raw[at:], []byte{byte(d(3)), 0, 0, 10, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0})
			}
		}
		raw[16+56] = []byte{6, 17, 1, 58, 47}[d(5)]
	}
	if layer == addr.LayerReflect {
		copy(raw[16+12:], []byte{byte(d(5)), 0, 0, 0})
		binary.LittleEndian.PutUint16(raw[16+24:], uint16(d(60001)-30000))
	}
	a, err := addr.Parse(raw[:])
	if err != nil {
		panic(err)
	}
	return a
}

// packet returns a random packet: mostly well formed, at times cut, lengthened or damaged.
func (d dice) packet() []byte {
	transport, proto := d.transport()
	var b []byte
	if d.chance(50) {
		b = d.ipv4(proto, transport)
	} else {
		b = d.ipv6(proto, transport)
	}
	switch d(8) {
	case 0:
		b = b[:d(len(b)+1)]
	case 1:
		b = append(b, make([]byte, 1+d(9))...)
	case 2:
		for range 1 + d(4) {
			b[d(len(b))] = byte(d(256))
		}
	}
	return b
}

func (d dice) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		if d.chance(70) {
			b[i] = byte(d(256))
		}
	}
	return b
}

func (d dice) transport() (b []byte, proto byte) {
	proto = []byte{6, 6, 17, 17, 1, 58, 50, 200}[d(8)]
	if proto == 6 {
		b = d.bytes(20)
		binary.BigEndian.PutUint16(b, []uint16{80, 443, 53}[d(3)])
		words := 5 + d(4)
		b[12] = byte(words<<4 | d(16))
		b = append(b, d.bytes((words-5)*4)...)
	} else {
		b = d.bytes(8)
	}
	return append(b, d.bytes(d(24))...), proto
}

func (d dice) ipv4(proto byte, payload []byte) []byte {
	words := 5 + d(3)*d(2)
	b := d.bytes(words * 4)
	b[0] = byte(0x40 | words)
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)+len(payload)))
	if d.chance(75) {
		b[6], b[7] = b[6]&0xc0, 0
	}
	b[9] = proto
	copy(b[12:], []byte{10, 0, 0, byte(d(3)), 10, 0, 0, byte(d(3))})
	return append(b, payload...)
}

func (d dice) ipv6(next byte, payload []byte) []byte {
	b := d.bytes(40)
	copy(b[8:], []byte{0x20, 1, 0xd, 0xb8, 0, 0, 0})
	for range d(3) * d(2) {
		kind := []byte{0, 43, 44, 51, 60, 135}[d(6)]
		h := d.bytes(8)
		h[0], h[1] = next, 0
		if kind == 44 && d.chance(70) {
			h[2], h[3] = 0, h[3]&1
		}
		if kind != 44 && kind != 51 && d.chance(30) {
			h[1] = 1
			h = append(h, d.bytes(8)...)
		}
		if kind == 51 {
			h[1] = byte(d(2)) // (n+2)*4 bytes
			h = append(h, d.bytes(int(h[1])*4)...)
		}
		payload, next = append(h, payload...), kind
	}
	b[0], b[6] = 0x60|b[0]&15, next
	binary.BigEndian.PutUint16(b[4:], uint16(len(payload)))
	return append(b, payload...)
}

// filters makes random filters for a layer, with constants near the values of sample.
type filters struct {
	dice
	layer  addr.Layer
	sample *refState
	fields []string
	few    bool // fields and constants come again and again
}

func (d dice) filters(layer addr.Layer, a *addr.Address, pkt []byte) *filters {
	f := &filters{dice: d, layer: layer, sample: &refState{layer: layer, raw: a.Bytes()}}
	if layer <= 1 {
		f.sample.pkt = refDecode(pkt)
	}
	for _, name := range refNames {
		if refFields[name].at(layer) && !strings.HasPrefix(name, "random") {
			f.fields = append(f.fields, name)
		}
	}
	f.narrow()
	return f
}

// narrow picks few fields at times: they give the optimiser chains to join, and guards between tests of one field.
func (f *filters) narrow() {
	if f.chance(50) {
		return
	}
	some := []string{f.one(f.fields...), f.one(f.fields...)}
	if f.chance(60) {
		related := map[addr.Layer][]string{
			addr.Network:      {"tcp", "ip", "udp", "outbound", "inbound", "tcp.DstPort", "ip.DstAddr", "tcp.SrcPort", "ip.TTL", "remoteAddr", "packet"},
			addr.LayerFlow:    {"tcp", "ip", "ipv6", "inbound", "localPort", "remoteAddr", "protocol"},
			addr.LayerReflect: {"layer", "priority", "processId"},
		}
		related[addr.NetworkForward] = append(slices.Clone(related[addr.Network][:3]), related[addr.Network][5:9]...)
		related[addr.LayerSocket] = related[addr.LayerFlow]
		for range 1 + f.dice(3) {
			some = append(some, f.one(related[f.layer]...))
		}
		some = some[f.dice(3):]
	}
	f.fields, f.few = some, true
}

// expr returns an expression and its text.
func (f *filters) expr(depth int) (*refExpr, string) {
	if depth == 0 || f.chance(25) {
		return f.test()
	}
	e := &refExpr{kind: f.one("and", "or", "or", "?")}
	if e.kind == "?" {
		var text [3]string
		for i := range text {
			var k *refExpr
			k, text[i] = f.expr(depth - 1)
			e.kids = append(e.kids, k)
		}
		return e, "(" + text[0] + " ? " + text[1] + " : " + text[2] + ")"
	}
	var terms []string
	for range 2 + f.dice(3) {
		k, s := f.expr(depth - 1)
		if k.kind == "or" && e.kind == "and" || k.kind != "test" && f.chance(20) {
			s = "(" + s + ")"
		}
		e.kids, terms = append(e.kids, k), append(terms, s)
	}
	word := " " + e.kind + " "
	if f.chance(30) {
		word = map[string]string{"and": "&&", "or": " ||"}[e.kind]
	}
	return e, strings.Join(terms, word)
}

func (f *filters) test() (*refExpr, string) {
	t := refTest{nots: max(0, f.dice(5)-2), field: f.one(f.fields...)}
	info := refFields[t.field]
	text := strings.Repeat(f.one("not ", "!", "! "), t.nots) + t.field
	if info.size > 0 {
		t.fromEnd = f.chance(30)
		t.index = f.dice(70)
		if t.fromEnd {
			t.index += info.size
		}
		index := fmt.Sprintf("%db", t.index)
		if t.index%info.size == 0 && f.chance(50) {
			index = fmt.Sprint(t.index / info.size)
		}
		text += "[" + map[bool]string{true: "-"}[t.fromEnd] + index + "]"
	}
	if f.chance(80) {
		t.op = f.one("==", "=", "!=", "<", "<=", ">", ">=")
		t.neg, t.value = f.constant(&t, info)
		text += f.one("", " ") + t.op + f.one("", " ") + map[bool]string{true: "-"}[t.neg] + f.spell(t.value)
	}
	return &refExpr{kind: "test", test: t}, text
}

// constant returns a number that tells packets apart, or that stands at an edge.
func (f *filters) constant(t *refTest, info refField) (neg bool, v *big.Int) {
	v = new(big.Int)
	switch f.dice(6) {
	case 0:
		v.Set(info.lo)
	case 1:
		v.Set(info.hi)
	case 2:
		v.SetInt64(int64(f.dice(20)))
	case 3:
		v.SetBytes(f.bytes(f.dice(17)))
	default:
		if f.sample.pkt != nil || f.layer > 1 {
			if now := f.sample.value(t, info); now != nil {
				v.Set(now)
			}
		}
	}
	if !f.few || f.chance(50) {
		v.Add(v, refInt(int64(f.dice(5)-2)))
	}
	if v.BitLen() > 128 {
		v.SetInt64(0)
	}
	if f.chance(3) {
		v.Neg(v)
	}
	return v.Sign() < 0 || v.Sign() == 0 && f.chance(5), v.Abs(v)
}

// spell writes a number in one of the ways that mean it.
func (f *filters) spell(v *big.Int) string {
	switch f.dice(3) {
	case 0:
		return fmt.Sprintf("0x%x", v)
	case 1:
		var b [16]byte
		v.FillBytes(b[:])
		if a := netip.AddrFrom16(b); a.Is4In6() {
			return a.Unmap().String()
		} else if v.BitLen() > 64 {
			return a.String()
		}
	}
	return v.String()
}

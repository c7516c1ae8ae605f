package drvtest

import (
	"encoding/binary"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/wire"
)

var fragmentRules = []Rule{
	{"fragments/as-they-come", "WinDivert 5.4, WINDIVERT_FLAG_FRAGMENTS", []need{needFragments, needInbound}, fragmentsAsTheyCome},
	{"fragments/reassembled-without-the-flag", "WinDivert 5.4, WINDIVERT_FLAG_FRAGMENTS", []need{needJoined, needInbound}, fragmentsReassembled},
	{"fragments/outbound-as-they-are", "WinDivert 5.4, WINDIVERT_FLAG_FRAGMENTS: inbound only", []need{needFragments}, fragmentsOutbound},
}

// Fragments of the suite are told by what every one of them has: its identification, or its extension header.
const (
	fragmentNumber  = 7000
	filterFragments = "(ip.Protocol == 17 and ip.Id == 7001) or (ipv6.NextHdr == 44 and packet[44b] == 27) or " + filterAll
	firstLen        = 64 // bytes of the datagram in the first fragment
)

// split cuts a datagram in two, the plain way.
func split(b []byte) [2][]byte {
	if b[0]>>4 == 6 {
		return [2][]byte{fragment6(b, 0, firstLen), fragment6(b, firstLen, len(b)-wire.IPv6HeaderLen)}
	}
	return [2][]byte{fragment4(b, 0, firstLen), fragment4(b, firstLen, len(b)-wire.IPv4HeaderLen)}
}

// fragment4 makes a fragment (RFC 791) of bytes from to to of the datagram.
func fragment4(b []byte, from, to int) []byte {
	f := append([]byte(nil), b[:wire.IPv4HeaderLen]...)
	f = append(f, b[wire.IPv4HeaderLen+from:wire.IPv4HeaderLen+to]...)
	word := uint16(from / 8)
	if wire.IPv4HeaderLen+to < len(b) {
		word |= 0x2000
	}
	binary.BigEndian.PutUint16(f[2:], uint16(len(f)))
	binary.BigEndian.PutUint16(f[6:], word)
	wire.CalcChecksums(f, ^wire.NoIP)
	return f
}

// fragment6 makes a fragment (RFC 8200, 4.5) with an identification of fragmentNumber.
func fragment6(b []byte, from, to int) []byte {
	f := append([]byte(nil), b[:wire.IPv6HeaderLen]...)
	head := make([]byte, wire.FragmentLen)
	head[0] = b[6]
	word := uint16(from)
	if wire.IPv6HeaderLen+to < len(b) {
		word |= 1
	}
	binary.BigEndian.PutUint16(head[2:], word)
	binary.BigEndian.PutUint32(head[4:], fragmentNumber|27<<24)
	f = append(append(f, head...), b[wire.IPv6HeaderLen+from:wire.IPv6HeaderLen+to]...)
	f[6] = wire.ProtoFragment
	binary.BigEndian.PutUint16(f[4:], uint16(len(f)-wire.IPv6HeaderLen))
	return f
}

// sendSplit sends a datagram in two fragments, and returns it with them.
func (p *probe) sendSplit(w Way, six bool) (whole []byte, parts [2][]byte) {
	p.Helper()
	whole = p.w.build(spec{way: w, n: fragmentNumber, ipv6: six, size: 300})
	parts = split(whole)
	for _, f := range parts {
		p.sendBytes(w, f)
	}
	p.w.Network.Settle()
	return whole, parts
}

// takeRaw receives so many packets, drops them, and returns them.
func (p *probe) takeRaw(h *handle, want int) (got []*divertdrv.Packet) {
	p.Helper()
	for b := newBatch(); len(got) < want; {
		p.fill(h, b)
		for i := range b.Packets() {
			got = append(got, clone(&b.Packets()[i]))
		}
		p.complete(h, b)
	}
	if len(got) != want {
		p.Fatalf("%d packets, want %d", len(got), want)
	}
	return got
}

func fragmentsAsTheyCome(p *probe) {
	p.fragmentsComeAsTheyAre(Inbound, divertdrv.Options{Flags: divertdrv.Fragments})
}

func fragmentsOutbound(p *probe) { p.fragmentsComeAsTheyAre(Outbound, divertdrv.Options{}) }

func (p *probe) fragmentsComeAsTheyAre(w Way, o divertdrv.Options) {
	p.Helper()
	h := p.openAt(filterFragments, divertdrv.Network, o)
	for _, six := range []bool{false, true} {
		_, parts := p.sendSplit(w, six)
		for i, pk := range p.takeRaw(h, len(parts)) {
			if d := differ(pk.Data, parts[i]); d != "" {
				p.Errorf("fragment %d: %s", i, d)
			}
		}
	}
	p.rest(h)
}

// A handle without the flag gets the datagram, once, and no fragment.
func fragmentsReassembled(p *probe) {
	p.loose = true
	h := p.openAt(filterFragments, divertdrv.Network, divertdrv.Options{})
	for _, six := range []bool{false, true} {
		whole, _ := p.sendSplit(Inbound, six)
		pk := p.takeRaw(h, 1)[0]
		head := pk.Headers()
		if head.Fragment || int(head.Total) != len(pk.Data) || head.Transport != wire.UDP {
			p.Errorf("not a whole datagram: fragment %v, %d bytes, of them here %d", head.Fragment, head.Total, len(pk.Data))
			continue
		}
		if d := differ(pk.Data[head.TransportOff:], whole[len(whole)-(len(pk.Data)-int(head.TransportOff)):]); d != "" {
			p.Errorf("the datagram is not what was split: %s", d)
		}
	}
	p.rest(h)
}

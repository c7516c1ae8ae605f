package filter

import (
	"cmp"
	"slices"

	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/wire"
)

// Dimension is a part of packets by which an index over many filters can tell them apart.
type Dimension uint8

// The dimensions.
const (
	ByKind    Dimension = iota // IP version and transport
	BySrcAddr                  // IPv4, or the upper half of IPv6
	ByDstAddr
	BySrcPort // of TCP and UDP
	ByDstPort
	Dimensions
)

// NoKey is the key of a packet that has nothing in a dimension: no port. It is above all others.
const NoKey = 1<<64 - 1

// Keys are a packet's keys, one for each dimension. Of IPv6 addresses the lower half does not count.
type Keys [Dimensions]uint64

// KeysOf returns the keys of a packet with headers h. What is no packet has NoKey everywhere.
func KeysOf(pkt []byte, h *wire.Headers) (k Keys) {
	src, dst, ok := h.Endpoints(pkt)
	if !ok {
		return Keys{NoKey, NoKey, NoKey, NoKey, NoKey}
	}
	k[ByKind] = uint64(h.Version)<<8 | uint64(h.Transport)
	if h.Version == 4 {
		k[BySrcAddr], k[ByDstAddr] = src.Lo&mask32, dst.Lo&mask32
	} else {
		k[BySrcAddr], k[ByDstAddr] = src.Hi, dst.Hi
	}
	k[BySrcPort], k[ByDstPort] = NoKey, NoKey
	if h.Transport == wire.TCP || h.Transport == wire.UDP {
		k[BySrcPort], k[ByDstPort] = uint64(src.Port), uint64(dst.Port)
	}
	return k
}

// Range is the keys from Lo to Hi, both included.
type Range struct{ Lo, Hi uint64 }

// Bounds says which keys the packets that match can have: ranges in order, which do not touch. A packet whose key lies outside
// does not match; one whose key lies inside may. nil: any key. It is for programs at NETWORK and NETWORK_FORWARD, and takes time
// in the square of the number of tests.
func (p *Program) Bounds() (b [Dimensions][]Range) {
	if p.layer > addr.NetworkForward || p.compat22 { // WinDivert's faults are not followed
		return b
	}
	an := &analysis{layer: p.layer}
	match, _ := an.follow(p.tests, possible{worlds: allWorlds()}, func(i int, in *possible) (yes, no possible) {
		out := an.ask(p.tests[i].comparison, in)
		return out.yes, out.no
	})
	for d := range Dimensions {
		b[d] = an.bounds(&match, d)
	}
	return b
}

// reads are the fields that tell a dimension's key, each where the packet has its header.
var reads = [Dimensions][]struct{ header, field fieldID }{
	BySrcAddr: {{fIP, fIPSrcAddr}, {fIPv6, fIPv6SrcAddr}},
	ByDstAddr: {{fIP, fIPDstAddr}, {fIPv6, fIPv6DstAddr}},
	BySrcPort: {{fTCP, fTCPSrcPort}, {fUDP, fUDPSrcPort}},
	ByDstPort: {{fTCP, fTCPDstPort}, {fUDP, fUDPDstPort}},
}

// bounds joins what is known of a dimension in all the worlds of packets that match; nil: nothing is.
func (an *analysis) bounds(match *possible, d Dimension) []Range {
	if d == ByKind {
		return an.kinds(match)
	}
	var all []Range
	for _, r := range reads[d] {
		if !an.some(match, r.header) {
			continue
		}
		values := match.lookup(&comparison{field: r.field}, an)
		if len(values) == 1 && values[0] == (span{hi: lastOf(r.field)}) {
			return nil
		}
		for _, s := range values {
			all = append(all, keysOf(r.field, s))
		}
	}
	if d == BySrcPort || d == ByDstPort {
		portless := false
		match.worlds.each(func(w world) { portless = portless || !w.is(fTCP) && !w.is(fUDP) })
		if portless {
			all = append(all, Range{NoKey, NoKey})
		}
	}
	return ordered(all)
}

// lastOf is the last of the values that a field of reads can have.
func lastOf(id fieldID) u128 {
	_, last := id.domain()
	if hi := fields[id].values.hi; id.header() == fTCP || id.header() == fUDP {
		return hi.mag
	}
	return last
}

// keysOf turns values of a field into keys.
func keysOf(id fieldID, s span) Range {
	if id == fIPv6SrcAddr || id == fIPv6DstAddr {
		return Range{s.lo.hi, s.hi.hi}
	}
	return Range{s.lo.lo, s.hi.lo}
}

func (an *analysis) kinds(match *possible) []Range {
	var all []Range
	match.worlds.each(func(w world) {
		h := worldHeaders[w>>worldHeadersShift]
		k := uint64(4) << 8
		if h.network == fIPv6 {
			k = 6 << 8
		}
		k |= uint64(map[fieldID]wire.Transport{fZero: wire.NoTransport, fTCP: wire.TCP, fUDP: wire.UDP, fICMP: wire.ICMP, fICMPv6: wire.ICMPv6}[h.transport])
		if !slices.Contains(all, Range{k, k}) {
			all = append(all, Range{k, k})
		}
	})
	if len(all) == len(worldHeaders) {
		return nil
	}
	return ordered(all)
}

// ordered sorts ranges and joins those that touch. No range at all stays none, which is not the same as nil.
func ordered(all []Range) []Range {
	slices.SortFunc(all, func(a, b Range) int { return cmp.Compare(a.Lo, b.Lo) })
	out := make([]Range, 0, len(all))
	for _, r := range all {
		last := len(out) - 1
		if last >= 0 && (out[last].Hi == NoKey || r.Lo <= out[last].Hi+1) {
			out[last].Hi = max(out[last].Hi, r.Hi)
			continue
		}
		out = append(out, r)
	}
	return out
}

package workload

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
)

// Rule is what firewalls mostly have: a network and a port.
type Rule struct {
	Dst  netip.Prefix
	Port uint16
}

// Rules returns n rules, of which the last, and no other, matches the packets of an IPv4 Ring.
func Rules(seed uint64, n int) []Rule {
	r := rand.New(rand.NewPCG(seed, uint64(n)))
	rules := make([]Rule, n)
	for i := range rules[:n-1] {
		a := netip.AddrFrom4([4]byte{byte(1 + r.IntN(200)), byte(r.Uint32()), byte(r.Uint32()), 0}) // below the target's 203
		rules[i] = Rule{netip.PrefixFrom(a, 24), uint16(1 + r.IntN(65_535))}
	}
	rules[n-1] = Rule{target, Port}
	return rules
}

// Filter is the rule in Weir's language.
func (r Rule) Filter() string {
	first := r.Dst.Masked().Addr()
	b := first.As4()
	b[3] = 255
	return fmt.Sprintf("ip.DstAddr >= %v and ip.DstAddr <= %v and tcp.DstPort == %d", first, netip.AddrFrom4(b), r.Port)
}

// Adversary returns n filters for Weir of all 15 combinations of addresses and ports, in turn, so that an index has to look at as
// many of its parts as can be; and for each the endpoints of a TCP packet that matches it.
func Adversary(seed uint64, n int) (filters []string, ends [][2]netip.AddrPort) {
	r := rand.New(rand.NewPCG(seed, 15))
	for i := range n {
		src := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(r.Uint32()), byte(r.Uint32())}), uint16(100+r.IntN(65_436)))
		dst := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, byte(r.Uint32()), byte(r.Uint32())}), uint16(100+r.IntN(65_436)))
		tests := []string{
			fmt.Sprintf("ip.SrcAddr == %v", src.Addr()), fmt.Sprintf("ip.DstAddr == %v", dst.Addr()),
			fmt.Sprintf("tcp.SrcPort == %d", src.Port()), fmt.Sprintf("tcp.DstPort == %d", dst.Port()),
		}
		var used []string
		for d, t := range tests {
			if (i%15+1)>>d&1 != 0 {
				used = append(used, t)
			}
		}
		filters = append(filters, strings.Join(used, " and "))
		ends = append(ends, [2]netip.AddrPort{src, dst})
	}
	return filters, ends
}

// MixedFilters returns n filters for Weir of four kinds in turn: an endpoint, a network, a source of UDP, a network of sources with a
// port; and for each the endpoints of a TCP packet that matches it. (Of the third kind it is the first filter's packet.)
func MixedFilters(seed uint64, n int) (filters []string, ends [][2]netip.AddrPort) {
	r := rand.New(rand.NewPCG(seed, 4))
	here, there := netip.MustParseAddrPort("10.0.0.1:40000"), netip.MustParseAddrPort("198.51.100.7:80")
	for i := range n {
		a, port := netip.AddrFrom4([4]byte{byte(1 + r.IntN(200)), byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32())}), uint16(100+r.IntN(65_436))
		from, to := here, netip.AddrPortFrom(a, port)
		switch i % 4 {
		case 0:
			filters = append(filters, fmt.Sprintf("ip.DstAddr == %v and tcp.DstPort == %d", a, port))
		case 1:
			first, last := ends24(a)
			filters = append(filters, fmt.Sprintf("ip.DstAddr >= %v and ip.DstAddr <= %v", first, last))
		case 2:
			filters = append(filters, fmt.Sprintf("ip.SrcAddr == %v and udp", a))
			from, to = ends[0][0], ends[0][1]
		case 3:
			first, last := ends24(a)
			filters = append(filters, fmt.Sprintf("ip.SrcAddr >= %v and ip.SrcAddr <= %v and tcp.DstPort == %d", first, last, port))
			from, to = netip.AddrPortFrom(a, here.Port()), netip.AddrPortFrom(there.Addr(), port)
		}
		ends = append(ends, [2]netip.AddrPort{from, to})
	}
	return filters, ends
}

// ends24 are the first and the last address of a's /24.
func ends24(a netip.Addr) (first, last netip.Addr) {
	b := a.As4()
	b[3] = 0
	first = netip.AddrFrom4(b)
	b[3] = 255
	return first, netip.AddrFrom4(b)
}

// Stranger returns the endpoints of the i-th of 65,536 packets that no filter of MixedFilters and Adversary matches.
func Stranger(i int) [2]netip.AddrPort {
	return [2]netip.AddrPort{
		netip.AddrPortFrom(netip.AddrFrom4([4]byte{240, 0, 0, 1}), 70),
		netip.AddrPortFrom(netip.AddrFrom4([4]byte{241, 0, byte(i >> 8), byte(i)}), 71),
	}
}

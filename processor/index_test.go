package processor

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/filter"
	"github.com/weirnet/weir/inject/craft"
)

// conditions and packets are made of few addresses and ports, so that much matches.
var (
	fewAddrs = []string{"10.0.0.1", "10.0.0.2", "10.1.0.1", "192.0.2.9", "2001:db8::1", "2001:db8:1::1", "2001:db8::2"}
	fewPorts = []int{1, 22, 23, 53, 80, 443, 8080, 65535}
)

// condition returns a random one.
func condition(d func(int) int) string {
	address := func() string { return fewAddrs[d(len(fewAddrs))] }
	port := func() int { return fewPorts[d(len(fewPorts))] }
	addrTest := func() string {
		a := address()
		ip := "ip"
		if strings.Contains(a, ":") {
			ip = "ipv6"
		}
		return fmt.Sprintf("%s.%sAddr %s %s", ip, []string{"Src", "Dst"}[d(2)], []string{"==", "==", "==", ">=", "<=", "!="}[d(6)], a)
	}
	portTest := func() string {
		return fmt.Sprintf("%s.%sPort %s %d", []string{"tcp", "udp"}[d(2)], []string{"Src", "Dst"}[d(2)], []string{"==", "==", ">", "<", "!="}[d(5)], port())
	}
	tests := []func() string{
		addrTest, addrTest, portTest, portTest,
		func() string {
			return []string{"tcp", "udp", "icmp", "ipv6", "ip", "fragment", "tcp.Syn", "outbound", "length > 50", "true"}[d(10)]
		},
	}
	var b strings.Builder
	for i := range 1 + d(4) {
		if i > 0 {
			b.WriteString([]string{" and ", " and ", " or "}[d(3)])
		}
		b.WriteString(tests[d(len(tests))]())
	}
	return b.String()
}

func parseNetwork(text string) (*filter.Program, error) { return filter.Parse(text, addr.Network) }

func somePacket(d func(int) int) []byte {
	endpoint := func(v6 bool) netip.AddrPort {
		for {
			if a := netip.MustParseAddr(fewAddrs[d(len(fewAddrs))]); a.Is6() == v6 {
				return netip.AddrPortFrom(a, uint16(fewPorts[d(len(fewPorts))]))
			}
		}
	}
	v6 := d(2) == 0
	src, dst := endpoint(v6), endpoint(v6)
	switch d(4) {
	case 0:
		return must(craft.UDP(src, dst, make([]byte, d(40))))
	case 1:
		return must(craft.Echo(src.Addr(), dst.Addr(), 1, 2, nil))
	case 2:
		b := must(craft.UDP(src, dst, make([]byte, 16)))
		return b[:d(len(b))]
	}
	return must(craft.TCP(src, dst, craft.Segment{Flags: 2}, make([]byte, d(40))))
}

// Through an index the same filters match, in the same order, as by asking all.
func TestIndexIsALinearScan(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := func(n int) int { return rapid.IntRange(0, n-1).Draw(t, "d") }
		checkIndexOf(t, d, 8+d(60), 20)
	})
}

func TestIndexIsALinearScanMany(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 4))
	for range 100 {
		checkIndexOf(t, rng.IntN, 8+rng.IntN(600), 100)
	}
}

func checkIndexOf(t interface{ Fatalf(string, ...any) }, d func(int) int, filters, packets int) {
	var all []*boundFilter
	for range filters {
		p, err := filter.Parse(condition(d), addr.Network)
		if err != nil {
			t.Fatalf("%v", err)
		}
		bounds := p.Bounds()
		all = append(all, &boundFilter{Filter: Filter{When: p}, bounds: &bounds})
	}
	ix := newIndex(all)
	if ix == nil {
		return
	}
	var c candidates
	for range packets {
		pkt := somePacket(d)
		h := headersOf(pkt)
		var a divertdrv.Address
		a.SetOutbound(d(2) == 0)
		keys := filter.KeysOf(pkt, h)
		ix.collect(&keys, &c)
		last := -1
		for i, f := range all {
			if !f.When.Match(&a, pkt, h) {
				continue
			}
			for last < i {
				got, more := c.next()
				if !more || int(got) <= last || int(got) > i {
					t.Fatalf("%s matches % x, and the index does not offer it in order (%d after %d)", f.When, pkt, got, last)
				}
				last = int(got)
			}
		}
	}
}

// rules are filters as a firewall has them (hosts, networks, ports and both), and for each a packet that it matches.
func rules(t testing.TB, n int) (filters []Filter, hits [][]byte) {
	t.Helper()
	rng := rand.New(rand.NewPCG(7, 7))
	for i := range n {
		ip, port := randomAddr(rng), uint16(1+rng.IntN(65535))
		from, to := here, netip.AddrPortFrom(ip, port)
		var text string
		switch i % 4 {
		case 0:
			text = fmt.Sprintf("ip.DstAddr == %v and tcp.DstPort == %d", ip, port)
		case 1:
			text = fmt.Sprintf("ip.DstAddr >= %v and ip.DstAddr <= %v", network(ip, 24, false), network(ip, 24, true))
		case 2:
			text = fmt.Sprintf("ip.SrcAddr == %v and udp", ip)
			from, to = to, there
		case 3:
			text = fmt.Sprintf("ip.SrcAddr >= %v and ip.SrcAddr <= %v and tcp.DstPort == %d", network(ip, 16, false), network(ip, 16, true), port)
			from, to = netip.AddrPortFrom(ip, 40000), netip.AddrPortFrom(thereAddr, port)
		}
		filters = append(filters, Filter{Name: fmt.Sprint("f", i), Layer: OutboundIPPacket, When: when(t, text), Action: ActionBlock})
		if i%4 == 2 {
			hits = append(hits, must(craft.UDP(from, to, make([]byte, 32))))
		} else {
			hits = append(hits, must(craft.TCP(from, to, craft.Segment{Flags: ackFlag}, make([]byte, 20))))
		}
	}
	return filters, hits
}

func randomAddr(rng *rand.Rand) netip.Addr {
	a := rng.Uint32()
	return netip.AddrFrom4([4]byte{byte(a >> 24), byte(a >> 16), byte(a >> 8), byte(a)})
}

func network(a netip.Addr, bits int, last bool) netip.Addr {
	p, _ := a.Prefix(bits)
	b := p.Addr().As4()
	if last {
		for i := bits / 8; i < 4; i++ {
			b[i] = 255
		}
	}
	return netip.AddrFrom4(b)
}

func TestTenThousandFiltersAreIndexedSoon(t *testing.T) {
	filters, _ := rules(t, 10_000)
	start := time.Now()
	pol, err := NewPolicy(nil, filters)
	if err != nil {
		t.Fatal(err)
	}
	ix := pol.layers[OutboundIPPacket][0].index
	if ix == nil {
		t.Fatal("no index")
	}
	rng := rand.New(rand.NewPCG(8, 8))
	most, total := 0, 0
	var c candidates
	for range 10_000 {
		a := rng.Uint32()
		b := must(craft.TCP(here, netip.AddrPortFrom(netip.AddrFrom4([4]byte{byte(a >> 24), byte(a >> 16), byte(a >> 8), byte(a)}), 443), craft.Segment{}, nil))
		keys := filter.KeysOf(b, headersOf(b))
		ix.collect(&keys, &c)
		n := 0
		for _, more := c.next(); more; _, more = c.next() {
			n++
		}
		most, total = max(most, n), total+n
	}
	t.Logf("built in %v; %d nodes, %d entries; %.2f filters asked per packet, at most %d", time.Since(start), len(ix.nodes), len(ix.lists), float64(total)/10_000, most)
	if most > 16 || total > 2*10_000 || len(ix.lists) > 20*len(filters) {
		t.Errorf("of 10,000 filters at most %d are asked, %.2f on average; want 16, 2", most, float64(total)/10_000)
	}
}

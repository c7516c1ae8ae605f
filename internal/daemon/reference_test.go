package daemon_test

import (
	"cmp"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/pcapdrv"
	"github.com/weirnet/weir/internal/daemon"
	"github.com/weirnet/weir/processor"
)

// A policy of twenty plain filters, judged twice: by the pipeline, and by the naive reference in this file, which shares no code
// with it. Of the reference each condition is a Go function over facts that gopacket's layers tell, and arbitration is a loop.

// facts are what the reference knows of a packet.
type facts struct {
	length   int // bytes that the capture has
	total    int // bytes by the IP header
	outbound bool
	ip4      *layers.IPv4
	ip6      *layers.IPv6
	fragment bool
	tcp      *layers.TCP // nil unless its whole header is there
	udp      *layers.UDP
	icmp     bool // ICMP or ICMPv6
	payload  int  // bytes behind the transport header by the IP length; valid iff tcp or udp
}

type rule struct {
	name     string
	layer    processor.Layer
	sublayer string
	weight   uint64
	action   processor.FilterAction
	hard     bool
	text     string
	holds    func(f *facts) bool
}

// Heavier sublayers first.
var referenceSublayers = []processor.Sublayer{
	{Name: "last", Weight: 10}, {Name: "guard", Weight: 900}, {Name: "base", Weight: 500}, {Name: "even", Weight: 500},
}

const (
	in4, inT   = processor.InboundIPPacket, processor.InboundTransport
	out4, outT = processor.OutboundIPPacket, processor.OutboundTransport
	permit     = processor.ActionPermit
	block      = processor.ActionBlock
)

var rules = []rule{
	{"in-fragments", in4, "guard", 5, block, false, "fragment", func(f *facts) bool { return f.fragment }},
	{"in-odd-hops", in4, "guard", 9, permit, false, "ip.TTL < 64 or ipv6.HopLimit > 64", func(f *facts) bool {
		return f.ip4 != nil && f.ip4.TTL < 64 || f.ip6 != nil && f.ip6.HopLimit > 64
	}},
	{"in-icmp", in4, "base", 1, permit, true, "icmp or icmpv6", func(f *facts) bool { return f.icmp }},
	{"in-icmp-long", in4, "last", 1, block, false, "(icmp or icmpv6) and length > 100", func(f *facts) bool {
		return f.icmp && f.length > 100
	}},
	{"in-broadcast", in4, "base", 2, block, false, "ip.DstAddr == 255.255.255.255", func(f *facts) bool {
		return f.ip4 != nil && f.ip4.DstIP.String() == "255.255.255.255"
	}},

	{"in-syn", inT, "guard", 1, block, false, "tcp.Syn and not tcp.Ack", func(f *facts) bool {
		return f.tcp != nil && f.tcp.SYN && !f.tcp.ACK
	}},
	{"in-reset", inT, "guard", 2, permit, true, "tcp.Rst", func(f *facts) bool { return f.tcp != nil && f.tcp.RST }},
	{"in-answers", inT, "base", 7, permit, true, "udp.SrcPort == 53", func(f *facts) bool { return f.udp != nil && f.udp.SrcPort == 53 }},
	{"in-answers-long", inT, "last", 7, block, false, "udp.SrcPort == 53 and udp.PayloadLength > 60", func(f *facts) bool {
		return f.udp != nil && f.udp.SrcPort == 53 && f.payload > 60
	}},
	{"in-modbus", inT, "base", 7, block, false, "tcp.SrcPort == 502 and tcp.PayloadLength > 12", func(f *facts) bool {
		return f.tcp != nil && f.tcp.SrcPort == 502 && f.payload > 12
	}},
	{"in-no-window", inT, "last", 8, block, false, "tcp.Window == 0", func(f *facts) bool { return f.tcp != nil && f.tcp.Window == 0 }},

	{"out-telnet", outT, "guard", 1, block, false, "tcp.DstPort == 23", func(f *facts) bool { return f.tcp != nil && f.tcp.DstPort == 23 }},
	{"out-web", outT, "guard", 1, permit, false, "tcp.DstPort == 80 or tcp.DstPort == 443 or tcp.DstPort == 8080", func(f *facts) bool {
		return f.tcp != nil && slices.Contains([]layers.TCPPort{80, 443, 8080}, f.tcp.DstPort)
	}},
	{"out-post", outT, "base", 3, block, false, "tcp.Payload32[0] == 0x504f5354", func(f *facts) bool {
		return f.tcp != nil && f.payload >= 4 && len(f.tcp.Payload) >= 4 && string(f.tcp.Payload[:4]) == "POST"
	}},
	{"out-end", outT, "even", 3, permit, true, "tcp.Fin and tcp.Ack", func(f *facts) bool { return f.tcp != nil && f.tcp.FIN && f.tcp.ACK }},
	{"out-short", outT, "last", 0, block, false, "udp and udp.DstPort != 53 and length < 60", func(f *facts) bool {
		return f.udp != nil && f.udp.DstPort != 53 && f.length < 60
	}},

	{"out-fragments", out4, "guard", 0, permit, true, "fragment", func(f *facts) bool { return f.fragment }},
	{"out-long", out4, "last", 0, block, false, "length > 1400", func(f *facts) bool { return f.length > 1400 }},
	{"out-ipv6", out4, "base", 0, permit, false, "ipv6", func(f *facts) bool { return f.ip6 != nil }},
	{"out-local", out4, "even", 0, block, false, "ip.DstAddr >= 127.0.0.0 and ip.DstAddr <= 127.255.255.255", func(f *facts) bool {
		return f.ip4 != nil && f.ip4.DstIP.IsLoopback()
	}},
}

// tally is what one filter did, or in total.
type tally struct{ matched, permitted, blocked uint64 }

// judge walks the layers of a packet's direction and says whether it passes.
func judge(f *facts, count map[string]*tally) (passes bool) {
	walk := []processor.Layer{in4, inT}
	if f.outbound {
		walk = []processor.Layer{outT, out4}
	}
	for _, layer := range walk {
		if f.fragment && layer.Transport() {
			continue
		}
		if by := arbitrate(f, layer, count); by != nil {
			count[by.name].blocked++
			return false
		}
	}
	return true
}

// arbitrate asks all sublayers, and returns the rule whose block stands.
func arbitrate(f *facts, layer processor.Layer, count map[string]*tally) (by *rule) {
	sublayers := slices.Clone(referenceSublayers)
	slices.SortStableFunc(sublayers, func(a, b processor.Sublayer) int { return cmp.Compare(b.Weight, a.Weight) })
	final := false
	for _, s := range sublayers {
		r := first(f, layer, s.Name)
		if r == nil {
			continue
		}
		count[r.name].matched++
		if r.action == permit {
			count[r.name].permitted++
		}
		if final {
			continue
		}
		by, final = nil, r.hard || r.action == block
		if r.action == block {
			by = r
		}
	}
	return by
}

// first returns the heaviest rule of a sublayer that holds; of equal ones the one that stands first.
func first(f *facts, layer processor.Layer, sublayer string) (found *rule) {
	for i := range rules {
		r := &rules[i]
		if r.layer == layer && r.sublayer == sublayer && (found == nil || r.weight > found.weight) && r.holds(f) {
			found = r
		}
	}
	return found
}

// look decodes a packet with gopacket.
func look(data []byte, outbound bool) *facts {
	f := &facts{length: len(data), outbound: outbound, total: 40 + int(binary.BigEndian.Uint16(data[4:]))}
	layer := layers.LayerTypeIPv6
	if data[0]>>4 == 4 {
		layer, f.total = layers.LayerTypeIPv4, int(binary.BigEndian.Uint16(data[2:]))
	}
	for _, l := range gopacket.NewPacket(data, layer, gopacket.NoCopy).Layers() {
		if !f.add(data, l) {
			break
		}
	}
	return f
}

// add takes up what a layer tells; false: the rest is payload.
func (f *facts) add(data []byte, layer gopacket.Layer) (more bool) {
	rest := len(layer.LayerPayload())
	switch l := layer.(type) {
	case *layers.IPv4:
		if f.ip4 != nil || f.ip6 != nil {
			return false // the inside of a tunnel
		}
		f.ip4, f.fragment = l, l.FragOffset > 0 || l.Flags&layers.IPv4MoreFragments != 0
		f.icmp = f.fragment && l.FragOffset == 0 && l.Protocol == layers.IPProtocolICMPv4 && rest >= 8
	case *layers.IPv6:
		if f.ip4 != nil || f.ip6 != nil {
			return false
		}
		f.ip6 = l
	case *layers.IPv6Fragment:
		f.fragment = true
		f.icmp = l.FragmentOffset == 0 && l.NextHeader == layers.IPProtocolICMPv6 && rest >= 8
		return false
	case *layers.TCP:
		f.tcp, f.payload = l, f.total-offset(data, l.Contents)-len(l.Contents)
		return false
	case *layers.UDP:
		f.udp, f.payload = l, f.total-offset(data, l.Contents)-len(l.Contents)
		return false
	case *layers.ICMPv4, *layers.ICMPv6:
		f.icmp = len(l.LayerContents())+rest >= 8
		return false
	}
	return true
}

// offset is where part starts in whole; both are of one array.
func offset(whole, part []byte) int { return cap(whole) - cap(part) }

// expect judges every packet of a capture. The direction is the driver's word; its rule is tested with the driver.
func expect(t *testing.T, plan daemon.Plan) (count map[string]*tally, total, passed uint64) {
	t.Helper()
	count = map[string]*tally{}
	for _, r := range rules {
		count[r.name] = &tally{}
	}
	d, err := pcapdrv.Open(pcapdrv.Options{In: plan.Driver.In, Local: plan.Driver.Local})
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	h, err := divertdrv.Open("true", divertdrv.Network, &divertdrv.Options{Driver: d})
	if err != nil {
		t.Fatal(err)
	}
	for b := divertdrv.NewBatch(1, divertdrv.MTUMax); h.Recv(b) == nil; {
		p := &b.Packets()[0]
		total++
		if judge(look(slices.Clone(p.Data), p.Addr.Outbound()), count) {
			passed++
		}
		p.Set(divertdrv.Pass, 0)
		if err := h.Complete(b); err != nil {
			t.Fatal(err)
		}
	}
	return count, total, passed
}

func referencePolicy(t *testing.T) *processor.Policy {
	t.Helper()
	var filters []processor.Filter
	for _, r := range rules {
		filters = append(filters, processor.Filter{
			Name: r.name, Layer: r.layer, Sublayer: r.sublayer, Weight: r.weight, Action: r.action, Hard: r.hard,
			When: program(t, r.text, divertdrv.Network),
		})
	}
	p, err := processor.NewPolicy(referenceSublayers, filters)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func testReference(t *testing.T, paths []string) (all map[string]*tally) {
	t.Helper()
	all = map[string]*tally{}
	pol := referencePolicy(t)
	eachCapture(t, paths, func(t *testing.T, path, out string) {
		plan := capturePlan(t, path, out)
		plan.Policy = pol
		r, err := run(t, plan)
		if !damaged(err) {
			t.Fatal(err)
		}
		want, total, passed := expect(t, plan)
		if r.Received != total || r.Passed != passed || r.DroppedBy["filter"] != total-passed {
			t.Errorf("received %d, passed %d, dropped by %v; want %d, %d", r.Received, r.Passed, r.DroppedBy, total, passed)
		}
		for _, f := range r.ByFilter {
			got := tally{f.Matched, f.Permitted, f.Blocked}
			if got != *want[f.Name] {
				t.Errorf("%s: got %+v, want %+v", f.Name, got, *want[f.Name])
			}
			if all[f.Name] == nil {
				all[f.Name] = &tally{}
			}
			all[f.Name].matched += got.matched
			all[f.Name].permitted += got.permitted
			all[f.Name].blocked += got.blocked
		}
	})
	return all
}

// In our own captures every rule matches, so that none is compared by zeros alone.
func TestReferenceOfRepository(t *testing.T) {
	idle := []string{"in-modbus", "in-broadcast"} // of the fork's captures
	for name, n := range testReference(t, repository(t)) {
		if n.matched == 0 && !slices.Contains(idle, name) {
			t.Errorf("%s never matched", name)
		}
	}
}

func TestReferenceOfFork(t *testing.T) {
	for name, n := range testReference(t, fork(t)) {
		t.Logf("%-16s %+v", name, *n)
	}
}

package filter

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/wire"
)

func TestLint(t *testing.T) {
	for _, tt := range []struct {
		layer addr.Layer
		src   string
		want  []string // kind, position, and part of the message and remedy
	}{
		{0, "tcp and udp", []string{`always-false 0`, `impossible 8 udp never holds: whatever comes to it is TCP; join alternatives with "or"`}},
		{0, "outbound", nil},
		{0, "inbound and outbound", []string{"always-false 0", "impossible 12 outbound never holds: whatever comes to it has outbound = 0"}},
		{0, "inbound or outbound", []string{"always-true 0", "vacuous 11 outbound always holds: whatever comes to it has outbound = 1"}},
		{0, "ip or ipv6", []string{"always-true 0", "vacuous 6 ipv6 always holds"}},
		{0, "ip and ipv6.HopLimit > 3", []string{"always-false 0", "impossible 7 ipv6.HopLimit > 3 never holds: no packet that comes to it has an IPv6 header; all are IPv4"}},
		{0, "tcp and icmp or udp", []string{"impossible 8"}},
		{0, "tcp.DstPort == 80 and tcp.DstPort == 443", []string{"always-false 0", "impossible 22 tcp.DstPort == 443 never holds: tcp.DstPort is 80 there; join alternatives"}},
		{0, "tcp.DstPort != 80 or tcp.DstPort != 443", []string{`vacuous 21 tcp.DstPort != 443 always holds: tcp.DstPort is 80 there, so it says no more than tcp; to exclude several values join the tests with "and"`}},
		{0, "tcp.DstPort != 80 and tcp.DstPort != 443", nil},
		{0, "tcp.DstPort < 80 or tcp.DstPort >= 80", []string{"vacuous 20 tcp.DstPort >= 80 always holds: tcp.DstPort is 80 to 65535 there, so it says no more than tcp"}},
		{0, "localPort < 80 or localPort >= 80", []string{"always-true 0", "vacuous 18"}},
		{0, "tcp.DstPort == 70000", []string{"always-false 0", "impossible 0 tcp.DstPort == 70000 never holds: tcp.DstPort is 0 to 65535; compare with a value"}},
		{0, "udp or tcp.DstPort == 70000", []string{"impossible 7"}},
		{0, "ip.TTL < 256", []string{"vacuous 0 ip.TTL < 256 always holds: ip.TTL is 0 to 255, so it says no more than ip"}},
		{0, "ip.SrcAddr == fe80::1", []string{"always-false 0", "impossible 0 ip.SrcAddr == fe80::1 never holds: ip.SrcAddr is 0.0.0.0 to 255.255.255.255"}},
		{0, "tcp and ip.FragOff > 0", []string{"always-false 0", "impossible 8 ip.FragOff > 0 never holds: ip.FragOff is 0 there"}},
		{0, "not fragment and ip.MF", []string{"always-false 0", "impossible 17"}},
		{0, "ip.Protocol == UDP and tcp", []string{"always-false 0", "impossible 23"}},
		{0, "udp and protocol == TCP", []string{"always-false 0", "impossible 8 protocol == TCP never holds: protocol is UDP there"}},
		{0, "tcp and length < 40", []string{"always-false 0", "impossible 8"}},
		{0, "tcp.HdrLength < 5", []string{"always-false 0", "impossible 0 tcp.HdrLength < 5 never holds: tcp.HdrLength is 5 to 15 there"}},
		{0, "(tcp ? udp : true)", []string{"impossible 7"}},
		{0, "(tcp ? tcp.DstPort == 80 : false)", nil},
		{0, "(tcp or tcp.SrcPort == 80) and outbound", []string{"impossible 8 tcp.SrcPort == 80 never holds: no packet that comes to it has a TCP header"}},
		{0, "true or tcp or udp.DstPort = 3", []string{"always-true 0"}},
		{0, "outbound or ip and (true or tcp and udp.DstPort = 3) and icmp", []string{"unreachable 28"}},
		{0, "(ip ? tcp : ipv6 and udp)", []string{"vacuous 12"}},
		{0, "(ip ? tcp : ip and (udp or icmp) and outbound or inbound)", []string{"impossible 12", "unreachable 20 no packet or event comes to udp or icmp) and outbound"}},
		{0, "true", nil},
		{0, "false", nil},
		{0, "tcp and false", []string{"always-false 0"}},
		{0, "tcp or true", []string{"always-true 0"}},
		{0, "packet[0] == 1 and packet[0] == 2", []string{"always-false 0", "impossible 19 packet[0] == 2 never holds: packet is 0x01 there"}},
		{0, "packet[0] < 10 or packet[0] >= 10", []string{"vacuous 18"}},
		{0, "packet[0] == 1 and packet[1] == 2", nil},
		{0, "loopback == 2", []string{"always-false 0", "impossible 0 loopback == 2 never holds: loopback is 0 or 1"}},
		{0, "event == 1", []string{"always-false 0", "impossible 0 event == 1 never holds: event is PACKET there"}},
		{2, "event == ESTABLISHED or event == DELETED", []string{"always-true 0", "vacuous 24"}},
		{3, "event == CONNECT and event == ACCEPT", []string{"always-false 0", "impossible 21 event == ACCEPT never holds: event is CONNECT there"}},
		{3, "tcp and protocol == UDP", []string{"always-false 0", "impossible 8"}},
		{3, "processId == 4 or processId == 4", []string{"impossible 18"}},
		{4, "priority > 30000", []string{"always-false 0", "impossible 0 priority > 30000 never holds: priority is -30000 to 30000"}},
		{4, "priority < 0 and priority > -3 and priority > 5", []string{"always-false 0", "impossible 35 priority > 5 never holds: priority is -2 to -1 there"}},
		{0, "timestamp < -5 and timestamp > -8 and timestamp == 0", []string{"always-false 0", "impossible 38 timestamp == 0 never holds: timestamp is -7 to -6 there"}},
		{0, "(ip.SrcAddr >= 10.0.0.0 and ip.SrcAddr <= 10.255.255.255 or ip.SrcAddr = 1.1.1.1) and ip.SrcAddr = 2.2.2.2", []string{
			"always-false 0", "impossible 86 ip.SrcAddr = 2.2.2.2 never holds: ip.SrcAddr is 1.1.1.1 or 10.0.0.0 to 10.255.255.255 there",
		}},
		{0, "(tcp.DstPort == 80 or udp) and tcp.DstPort == 443", []string{"always-false 0", "impossible 31"}},
		{0, "tcp.DstPort == 80 or tcp.DstPort == 443 or udp.DstPort == 53 and not loopback", nil},
		{1, "impostor and not impostor", []string{"always-false 0", "impossible 13"}},
	} {
		checkLints(t, mustParse(t, tt.src, tt.layer), tt.want)
	}
}

func checkLints(t *testing.T, p *Program, want []string) {
	t.Helper()
	found := p.Lint()
	ok := len(found) == len(want)
	for i := 0; ok && i < len(want); i++ {
		l := found[i]
		at := fmt.Sprintf("%s %d", l.Kind, l.Pos)
		ok = at == want[i] || strings.HasPrefix(at+" "+l.String(), want[i])
		ok = ok && l.Text == p.src[l.Pos:l.End]
	}
	if !ok {
		t.Errorf("%s %q:\n got %+v\nwant %q", p.layer, p, found, want)
	}
}

// TestLintObject: what came as an object has no places, and the same findings.
func TestLintObject(t *testing.T) {
	p := mustParse(t, "(tcp or tcp.SrcPort == 80) and udp and (true or outbound)", addr.Network)
	object, _ := p.Object()
	var kinds []string
	for _, l := range mustParse(t, object, addr.Network).Lint() {
		if l.Pos != -1 || l.End != -1 {
			t.Errorf("%+v", l)
		}
		kinds = append(kinds, string(l.Kind)+" "+l.Text)
	}
	if got := fmt.Sprint(kinds); got != "[always-false  impossible tcp.SrcPort = 80 impossible udp]" {
		t.Error(got)
	}
	for _, src := range []string{"true", "false"} {
		object, _ := mustParse(t, src, addr.Network).Object()
		if l := mustParse(t, object, addr.Network).Lint(); len(l) != 0 {
			t.Errorf("%s: %v", src, l)
		}
	}
}

// TestLintCompat22: what WinDivert makes of a comparison that no value passes is no comparison that never holds.
func TestLintCompat22(t *testing.T) {
	for src, want := range map[string]string{
		"tcp.DstPort == 70000":         "",
		"tcp and tcp.DstPort == 70000": "[always-false impossible]",
		"ipv6.FlowLabel == 0x23450100": "",
		"ipv6.FlowLabel <= 0xfffff":    "[vacuous]",
	} {
		var kinds []string
		for _, l := range mustParse(t, src, addr.Network, Compat22()).Lint() {
			kinds = append(kinds, string(l.Kind))
		}
		if got := fmt.Sprint(kinds); got != want && (want != "" || kinds != nil) {
			t.Errorf("%q: got %s, want %s", src, got, want)
		}
	}
	if l := mustParse(t, "ip or ipv6", addr.LayerFlow, Compat22()).Lint(); len(l) != 3 || l[0].Kind != LintAlwaysFalse {
		t.Errorf("got %v", l)
	}
}

// history is what became of each test of a text over many packets.
type history struct {
	came, held, failed bool // failed: where there is such a field
}

// follow evaluates a tree plainly.
func (s *subject) follow(t *tree, seen map[int]*history) bool {
	switch t.kind {
	case nodeAnd:
		return s.follow(t.a, seen) && s.follow(t.b, seen)
	case nodeOr:
		return s.follow(t.a, seen) || s.follow(t.b, seen)
	case nodeTernary:
		if s.follow(t.a, seen) {
			return s.follow(t.b, seen)
		}
		return s.follow(t.c, seen)
	}
	h := seen[t.test.at]
	if h == nil {
		h = &history{}
		seen[t.test.at] = h
	}
	h.came = true
	header := t.test.field.header()
	if holds, known := t.test.fold(); known {
		if header != fZero {
			there := s.is(header)
			holds = holds && there || s.compat22 && holds == there
		}
		h.held = h.held || holds
		h.failed = h.failed || !holds && (header == fZero || s.is(header))
		return holds
	}
	step := s.step(&t.test)
	h.held = h.held || step.Outcome == OutcomeTrue
	h.failed = h.failed || step.Outcome == OutcomeFalse
	return step.Outcome == OutcomeTrue
}

// traffic is random packets or events of a layer, with events that a driver gives.
func (d dice) traffic(layer addr.Layer, n int) []View {
	views := make([]View, 0, n)
	for len(views) < n {
		a := d.event(layer)
		in := events[layer]
		a.SetLayer(layer, addr.Event(in.lo.mag.lo)+addr.Event(d(int(in.hi.mag.lo-in.lo.mag.lo)+1)))
		v := View{Addr: &a}
		if layer <= addr.NetworkForward {
			v.Data, v.Headers = d.packet(), new(wire.Headers)
			if !wire.Parse(v.Data, v.Headers) {
				continue
			}
		}
		views = append(views, v)
	}
	return views
}

// near returns packets that differ from v in few bytes.
func (d dice) near(v View, n int) (views []View) {
	for range n {
		a := *v.Addr
		a.SetOutbound(d.chance(50))
		a.SetLoopback(d.chance(50))
		a.SetImpostor(d.chance(50))
		w := View{Addr: &a, Data: append([]byte{}, v.Data...), Headers: v.Headers}
		if v.Headers != nil {
			for range d(4) {
				w.Data[d(len(w.Data))] += byte(d(5) - 2)
			}
			w.Headers = new(wire.Headers)
			if !wire.Parse(w.Data, w.Headers) {
				continue
			}
		}
		views = append(views, w)
	}
	return views
}

// TestLintsAreTrue: no finding is contradicted by any of 10,000 random packets, nor by some near the one that the filter's
// constants come from.
func TestLintsAreTrue(t *testing.T) {
	seed := rand.Uint64()
	d := dice(rand.New(rand.NewPCG(seed, 0)).IntN)
	filters := 60
	if os.Getenv("WEIR_LONG") != "" {
		filters = 3000
	}
	var all [addr.Layers][]View
	for l := range all {
		all[l] = d.traffic(addr.Layer(l), 10_000)
	}
	kinds := map[LintKind]int{}
	for n := 0; n < filters; {
		layer := addr.Layer(d(addr.Layers))
		sample := all[layer][d(len(all[layer]))]
		_, src := d.filters(layer, sample.Addr, sample.Data).expr(1 + d(3))
		var opts []Option
		if d.chance(30) {
			opts = []Option{Compat22()}
		}
		p, err := Parse(src, layer, opts...)
		if err != nil || len(p.Lint()) == 0 {
			continue
		}
		n++
		checkLintsAreTrue(t, p, append(d.near(sample, 200), all[layer]...), kinds)
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	t.Logf("seed %d: findings in %d filters, each on 10,000 packets and more: %v", seed, filters, kinds)
}

func checkLintsAreTrue(t *testing.T, p *Program, views []View, kinds map[LintKind]int) {
	t.Helper()
	seen, tree := map[int]*history{}, p.tree()
	matched, missed := false, false
	for _, v := range views {
		s := subject{p.layer, p.compat22, v.Addr, v.Data, v.Headers}
		got := s.follow(tree, seen)
		if want := p.Match(v.Addr, v.Data, v.Headers); got != want {
			t.Errorf("%s %q: the test's own evaluator says %t", p.layer, p, got)
		}
		matched, missed = matched || got, missed || !got
	}
	for _, l := range p.Lint() {
		kinds[l.Kind]++
		bad := false
		for at, h := range seen {
			if l.Pos <= at && at < l.End {
				bad = bad || l.Kind == LintUnreachable && h.came || l.Kind == LintImpossible && h.held || l.Kind == LintVacuous && h.failed
			}
		}
		if bad || l.Kind == LintAlwaysTrue && missed || l.Kind == LintAlwaysFalse && matched {
			t.Errorf("%s %q, compat22 %t: false alarm: %+v", p.layer, p, p.compat22, l)
		}
	}
}

// FuzzLint: any program is looked through, its findings lie in the text, and the analysis agrees with Always.
func FuzzLint(f *testing.F) {
	for _, src := range []string{mediumFilter, "tcp and udp", "(tcp ? udp : ip)", "@WinDiv_WY_eXWWAX_fXWWAX", "packet16[-9b] == 0x1f and false", "not not tcp or tcp"} {
		f.Add(src, uint8(0), false)
	}
	f.Add("event == 4 or localAddr > -5", uint8(3), true)
	f.Fuzz(func(t *testing.T, src string, l uint8, compat22 bool) {
		var opts []Option
		if compat22 {
			opts = []Option{Compat22()}
		}
		p, err := Parse(src, addr.Layer(l%addr.Layers), opts...)
		if err != nil {
			return
		}
		value, constant := p.Always()
		for _, l := range p.Lint() {
			if l.Pos >= 0 && (l.End <= l.Pos || l.End > len(src) || src[l.Pos:l.End] != l.Text) || l.Pos < 0 && !strings.HasPrefix(src, objectPrefix) || l.Msg == "" {
				t.Fatalf("%q: %+v", src, l)
			}
			if constant && (l.Kind == LintAlwaysTrue && !value || l.Kind == LintAlwaysFalse && value) {
				t.Fatalf("%q: Always says %t, %s", src, value, l)
			}
		}
	})
}

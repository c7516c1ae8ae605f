package processor

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/filter"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/inject"
	"github.com/weirnet/weir/inject/craft"
	"github.com/weirnet/weir/processor/internal/naive"
)

// Random policies and packets are judged here and by package naive, which shares no code with the processor: verdict, cause, every
// call of a callout with its layer and rights, and what each filter counts must be the same. WEIR_LONG=1 makes it a million
// decisions; WEIR_SEED repeats a run.
func TestDecisionsAreThoseOfTheReference(t *testing.T) {
	decisions := 20_000
	if os.Getenv("WEIR_LONG") != "" {
		decisions = 1_000_000
	}
	seed := rand.Uint64()
	if s, err := strconv.ParseUint(os.Getenv("WEIR_SEED"), 10, 64); err == nil {
		seed = s
	}
	t.Logf("WEIR_SEED=%d", seed)
	start, done, passed := time.Now(), 0, 0
	rng := rand.New(rand.NewPCG(seed, 5))
	for done < decisions {
		w := newWorld(t, rng)
		for range 12 {
			w.swap()
			n := 20 + rng.IntN(120)
			for range n {
				passed += b2i(w.packet())
			}
			done += n
		}
		w.compareCounts()
		w.close()
		if t.Failed() {
			return
		}
	}
	t.Logf("%d decisions in %v, %d packets passed", done, time.Since(start).Round(time.Second), passed)
}

// world is a processor and its reference, with a few flows that packets belong to.
type world struct {
	t      *testing.T
	rng    *rand.Rand
	script uint64 // of callouts
	p      *Processor
	close  func()
	model  naive.Model
	calls  []naive.Call // of the processor's callouts, for the packet at hand
	id     uint64       // of the packet at hand
	now    int64
	ends   [][2]netip.AddrPort
	all    []*naive.Policy // the last is in force
	policy *naive.Policy
}

func newWorld(t *testing.T, rng *rand.Rand) *world {
	t.Helper()
	w := &world{t: t, rng: rng, script: rng.Uint64()}
	sim := simdrv.New(simdrv.Config{})
	var handles []*divertdrv.Handle
	for _, l := range []divertdrv.Layer{divertdrv.Network, divertdrv.NetworkForward} {
		h, err := divertdrv.Open("false", l, &divertdrv.Options{Driver: sim})
		if err != nil {
			t.Fatal(err)
		}
		handles = append(handles, h)
	}
	rules := Rules{BlockAtEstablished: []inject.Setting{inject.Enforce, inject.Report, inject.Off}[rng.IntN(3)]}
	if w.model.Established = "count"; rules.BlockAtEstablished == inject.Enforce {
		w.model.Established = "refuse"
	}
	var err error
	if w.p, err = New(Config{Handles: handles, Rules: rules}); err != nil {
		t.Fatal(err)
	}
	w.close = func() {
		for _, h := range handles {
			_ = h.Close()
		}
		sim.Close()
	}
	for range 3 + rng.IntN(12) {
		w.ends = append(w.ends, w.twoEnds())
	}
	return w
}

func (w *world) twoEnds() (ends [2]netip.AddrPort) {
	v6 := w.rng.IntN(3) == 0
	for i := range ends {
		for {
			if a := netip.MustParseAddr(fewAddrs[w.rng.IntN(len(fewAddrs))]); a.Is6() == v6 {
				ends[i] = netip.AddrPortFrom(a, uint16(fewPorts[w.rng.IntN(len(fewPorts))]))
				break
			}
		}
	}
	return ends
}

// pick returns one of some things.
func pick[T any](rng *rand.Rand, of ...T) T { return of[rng.IntN(len(of))] }

// swap puts a new policy in force on both sides.
func (w *world) swap() {
	w.t.Helper()
	sublayers := []Sublayer{}
	w.policy = &naive.Policy{}
	for i := range w.rng.IntN(4) {
		s := Sublayer{Name: fmt.Sprint("s", i), Weight: uint16(w.rng.IntN(3))}
		sublayers = append(sublayers, s)
		w.policy.Sublayers = append(w.policy.Sublayers, naive.Sublayer{Name: s.Name, Weight: int(s.Weight)})
	}
	w.policy.Sublayers = append(w.policy.Sublayers, naive.Sublayer{Name: DefaultSublayer})
	layers := LayerNames()
	if w.rng.IntN(2) == 0 { // so many at few layers that they are indexed
		layers = []string{pick(w.rng, layers...), pick(w.rng, layers[:10]...), "outbound-transport"}
	}
	var filters []Filter
	for i := range w.rng.IntN(60) {
		f, n := w.filter(fmt.Sprint("f", i), layers)
		filters = append(filters, f)
		w.policy.Filters = append(w.policy.Filters, n)
	}
	pol, err := NewPolicy(sublayers, filters)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.p.Apply(pol); err != nil {
		w.t.Fatal(err)
	}
	w.model.Swap(w.policy)
	w.all = append(w.all, w.policy)
}

// filter returns a filter in the words of both.
func (w *world) filter(name string, layers []string) (Filter, *naive.Filter) {
	l := pick(w.rng, layers...)
	layer, _ := ParseLayer(l)
	n := &naive.Filter{
		Name: name, Layer: l, Sublayer: pick(w.rng, w.policy.Sublayers...).Name, Weight: uint64(w.rng.IntN(5)),
		Action: pick(w.rng, "permit", "permit", "block", "terminating", "inspection", "unknown", "unknown"), Hard: w.rng.IntN(3) == 0,
	}
	action := map[string]FilterAction{
		"permit": ActionPermit, "block": ActionBlock, "terminating": ActionCalloutTerminating,
		"inspection": ActionCalloutInspection, "unknown": ActionCalloutUnknown,
	}[n.Action]
	f := Filter{Name: name, Layer: layer, Sublayer: n.Sublayer, Weight: n.Weight, Action: action, Hard: n.Hard}
	if w.rng.IntN(8) > 0 {
		text := ""
		n.When, text = randomCondition(w.rng, layer == IPForward)
		p, err := filter.Parse(text, layer.DriverLayer())
		if err != nil {
			w.t.Fatal(text, err)
		}
		f.When = p
	}
	if n.Action == "block" && w.rng.IntN(2) == 0 {
		n.Reason, f.Reason = true, "it would be a risk"
	}
	if action.callsOut() {
		n.Callout = w.says
		f.Callout = &callout{name, w.classify}
	}
	if w.rng.IntN(2) == 0 && f.Sublayer == DefaultSublayer {
		f.Sublayer = ""
	}
	return f, n
}

// says is what callouts say: it depends on all that they can see, and on nothing else.
func (w *world) says(c naive.Call, id uint64) (s naive.Says) {
	f := fnv.New64a()
	fmt.Fprint(f, c, id, w.script)
	h := f.Sum64()
	draw := func(n uint64) uint64 {
		v := h % n
		h = h/n ^ h<<40
		return v
	}
	if s.Action = []string{"", "", "", "permit", "permit", "block"}[draw(6)]; draw(64) == 0 {
		return naive.Says{Action: "panic"}
	}
	s.Hard, s.Absorb, s.Reason = draw(3) == 0, draw(5) == 0, draw(2) == 0
	if draw(7) == 0 {
		s.Cause = reason.Rejected.String()
	}
	if draw(5) == 0 {
		s.Port = fewPorts[draw(uint64(len(fewPorts)))]
	}
	return s
}

// classify is the callout of all filters.
func (w *world) classify(c *Classification) (v Verdict) {
	call := naive.Call{Filter: c.Filter, Layer: c.Layer.String(), Rights: c.Rights != 0, Reauth: c.Reauth}
	if c.Cause != 0 {
		call.Cause = c.Cause.String()
	}
	w.calls = append(w.calls, call)
	s := w.says(call, w.id)
	if s.Action == "panic" {
		panic("as the script says")
	}
	h := *c.Headers()
	if s.Port != 0 && c.Rights != 0 && (h.Transport == wire.TCP || h.Transport == wire.UDP) {
		b := c.Packet.Edit()
		b[h.TransportOff+2], b[h.TransportOff+3] = byte(s.Port>>8), byte(s.Port)
	}
	v = Verdict{Action: map[string]Action{"permit": Permit, "block": Block}[s.Action], Hard: s.Hard, Absorb: s.Absorb}
	if s.Cause != "" {
		v.Cause = reason.Rejected
	}
	if s.Reason {
		v.Reason = "it would be a risk"
	}
	return v
}

// packet shows a random packet to both, and returns whether it passes.
func (w *world) packet() bool {
	w.t.Helper()
	w.id++
	w.now += pick(w.rng, 1e3, 1e6, 1e9, int64(w.rng.IntN(40e9)))
	if w.rng.IntN(500) == 0 {
		w.now += 3 * 3600e9
	}
	data, outbound := w.bytes()
	forward := w.rng.IntN(12) == 0
	n := &naive.Packet{Data: slices.Clone(data), Outbound: outbound, Forward: forward, At: w.now, ID: w.id}
	pass, cause := w.model.Judge(n)

	var a divertdrv.Address
	k, layer := w.p.workers[0], divertdrv.Network
	if forward {
		k, layer = w.p.workers[1], divertdrv.NetworkForward
	}
	a.SetLayer(layer, addr.EventPacket)
	a.SetOutbound(outbound)
	p := divertdrv.NewPacket(a, slices.Clone(data))
	w.calls = w.calls[:0]
	r := w.judge(k, p)
	got := ""
	if !r.pass {
		got = r.cause.String()
	}
	if r.pass != pass || got != cause || !slices.Equal(w.calls, w.model.Calls) || !slices.Equal(p.Data, n.Data) {
		w.t.Fatalf("packet %d, %s at %v\n% x\nprocessor: passes %v %s\n%+v\nreference: passes %v %s\n%+v",
			w.id, describe(p), time.Duration(w.now), data, r.pass, got, w.calls, pass, cause, w.model.Calls)
	}
	return pass
}

// judge is what a worker does with one packet; what it deferred is dropped.
func (w *world) judge(k *worker, p *divertdrv.Packet) result {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.adopt()
	r := k.judge(inNoBatch, p, w.now)
	for _, j := range k.jobs {
		j.flow.pending.Add(-1)
		w.p.order.room.Add(1)
	}
	k.jobs = k.jobs[:0]
	return r
}

// compareCounts compares what filters counted, under their names, in all policies.
func (w *world) compareCounts() {
	w.t.Helper()
	for _, s := range w.p.Stats().Filters {
		var n FilterStats
		for _, pol := range w.all {
			for _, f := range pol.Filters {
				if f.Name == s.Name {
					n.Matched, n.Permitted, n.Blocked, n.Vetoes = n.Matched+f.Matched, n.Permitted+f.Permitted, n.Blocked+f.Blocked, n.Vetoes+f.Vetoes
				}
			}
		}
		if s.Matched != n.Matched || s.Permitted != n.Permitted || s.Blocked != n.Blocked || s.Vetoes != n.Vetoes {
			w.t.Errorf("%s counts %+v, want %+v", s.Name, s, n)
		}
	}
}

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

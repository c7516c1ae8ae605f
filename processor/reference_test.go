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
		w.swap()
		for range 12 {
			if rng.IntN(4) == 0 {
				w.register()
			} else {
				w.swap()
			}
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

	registered [3]bool // callouts r0, r1 and r2
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

// register registers a callout that is not, or the other way round.
func (w *world) register() {
	w.t.Helper()
	i := w.rng.IntN(len(w.registered))
	name := fmt.Sprint("r", i)
	err := error(nil)
	if w.registered[i] = !w.registered[i]; w.registered[i] {
		err = w.p.Register(&callout{name, w.classify})
		w.model.Register(name, w.says)
	} else {
		err = w.p.Unregister(name)
		w.model.Register(name, nil)
	}
	if err != nil {
		w.t.Fatal(err)
	}
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
		n.When, text = randomCondition(w.rng, layer.DriverLayer() == divertdrv.NetworkForward)
		p, err := filter.Parse(text, layer.DriverLayer())
		if err != nil {
			w.t.Fatal(text, err)
		}
		f.When = p
	}
	if n.Action == "block" && w.rng.IntN(2) == 0 {
		n.Reason, f.Reason = true, "it would be a risk"
	}
	switch {
	case !action.callsOut():
	case w.rng.IntN(3) == 0:
		f.CalloutName = fmt.Sprint("r", w.rng.IntN(len(w.registered)))
		n.Registered = f.CalloutName
		f.PermitIfUnregistered = n.Action != "inspection" && w.rng.IntN(3) == 0
		n.Permits = f.PermitIfUnregistered
		if n.Reason = w.rng.IntN(2) == 0; n.Reason {
			f.Reason = "it would be a risk"
		}
	default:
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
			w.id, Describe(p), time.Duration(w.now), data, r.pass, got, w.calls, pass, cause, w.model.Calls)
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

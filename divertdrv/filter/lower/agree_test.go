package lower_test

import (
	"encoding/binary"
	"testing"

	"github.com/cilium/ebpf/asm"

	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/filter"
	"github.com/weirnet/weir/divertdrv/filter/lower"
	"github.com/weirnet/weir/divertdrv/wire"
)

// Offsets in struct __sk_buff, and its size (linux/bpf.h).
const (
	skbMark    = 8
	skbIfIndex = 40
	skbGSOSize = 176
	skbSize    = 192
)

// runner runs a program on a packet and returns its result. ctx is a struct __sk_buff.
type runner func(pkt, ctx []byte) uint32

// inMachine runs programs without a kernel.
func inMachine(t testing.TB, ins asm.Instructions) runner {
	t.Helper()
	m := newMachine(t, ins)
	return func(pkt, ctx []byte) uint32 {
		result, err := m.run(pkt, ctx)
		if err != nil {
			t.Fatalf("%v\n% x\n%v", err, pkt, ins)
		}
		return uint32(result)
	}
}

// hooks are those that are shipped, and what a driver can make of them.
var hooks = []lower.Hook{
	lower.Output, lower.OutputLoopback, lower.Input, lower.Prerouting, lower.Forward,
	{Name: "output of a driver that knows impostors", Outbound: true, Impostor: lower.Given},
	{Name: "input on an interface", IfIdx: 3, Impostor: lower.No},
	{Name: "input of whole packets", SeesIfIdx: true, Impostor: lower.Given},
}

// What programs return.
const (
	saysNo = iota
	saysYes
	saysAsk
)

// markIsImpostor makes the mark of a packet tell impostors.
var markIsImpostor = asm.Instructions{asm.LoadMem(asm.R0, asm.R6, skbMark, asm.Word)}

// trial is programs that are tried on packets, and what came of it.
type trial struct {
	dice
	load  func(testing.TB, asm.Instructions) runner
	ifIdx []uint32

	pairs, matches, inexact int
	asked, certain          int            // answers of programs that cannot tell all
	fields                  map[string]int // pairs of which the field was asked, and there
}

func newTrial(seed uint64, load func(testing.TB, asm.Instructions) runner) *trial {
	return &trial{dice: newDice(seed), load: load, ifIdx: []uint32{1, 2, 7}, fields: map[string]int{}}
}

// try tries random filters on random packets: two of three are like the one that the filter was made for.
func (tr *trial) try(t *testing.T, filters, perFilter int) {
	pool := tr.pool(2000)
	for i := range filters {
		hook := &hooks[i%len(hooks)]
		layer := addr.Network
		if hook.Name == lower.Forward.Name {
			layer = addr.NetworkForward
		}
		sample := pool[tr.IntN(len(pool))]
		a, _ := tr.address(hook, layer, sample)
		p := tr.filters(layer, a, sample, tr.fields).random(t)
		if tr.chance(15) {
			p = tr.rewired(t, p, 20)
		}
		packets := make([][]byte, perFilter)
		for i := range packets {
			if packets[i] = pool[tr.IntN(len(pool))]; i%3 != 0 {
				packets[i] = tr.like(sample)
			}
		}
		tr.filter(t, p, hook, packets)
	}
}

func (tr *trial) filter(t *testing.T, p *filter.Program, hook *lower.Hook, packets [][]byte) {
	t.Helper()
	r, err := lower.Lower(p, *hook)
	if err != nil {
		t.Fatal(err)
	}
	code := lower.Code{Ask: asm.Instructions{asm.Mov.Imm(asm.R0, saysAsk), asm.Return()}}
	if hook.Impostor == lower.Given {
		code.Before = markIsImpostor
	}
	run := tr.load(t, r.Program(code))
	for _, pkt := range packets {
		a, ctx := tr.address(hook, p.Layer(), pkt)
		tr.packet(t, p, r, run(pkt, ctx), &a, pkt)
	}
}

// address returns what a driver says of a packet, and the context in which the kernel sees it.
func (tr *trial) address(hook *lower.Hook, layer addr.Layer, pkt []byte) (a addr.Address, ctx []byte) {
	ctx = make([]byte, skbSize)
	a.SetLayer(layer, addr.EventPacket)
	a.Timestamp = tr.Int64N(1 << 40)
	a.SetOutbound(hook.Outbound)
	a.SetLoopback(hook.Loopback)
	a.SetIPv6(pkt[0]>>4 == 6)
	ifIdx := tr.ifIdx[tr.IntN(720)%len(tr.ifIdx)] // the same trial on every machine
	binary.LittleEndian.PutUint32(ctx[skbIfIndex:], ifIdx)
	if hook.IfIdx != 0 {
		ifIdx = hook.IfIdx
	}
	a.SetInterface(ifIdx, 0)
	if hook.Impostor != lower.No && tr.chance(50) {
		a.SetImpostor(true)
		ctx[skbMark] = 1 << tr.IntN(8)
	}
	return a, ctx
}

func (tr *trial) packet(t *testing.T, p *filter.Program, r *lower.Result, got uint32, a *addr.Address, pkt []byte) {
	t.Helper()
	var h wire.Headers
	wire.Parse(pkt, &h)
	matches := p.Match(a, pkt, nil)
	want, steps := answer(&r.Hook, p, a, pkt, &h)
	deep := h.Version == 6 && h.TransportOff > 40+8*lower.MaxExtensions
	part := r.Hook.Reassemble && h.Version == 6 && h.Fragment
	wrong := ""
	switch {
	case matches && got == saysNo:
		wrong = "refuses what matches"
	case (got != saysNo) != want.some && !deep:
		wrong = "could have told more"
	case got == saysYes && !want.all, got == saysYes && !matches && !part:
		wrong = "is certain, and should not be"
	case got == saysAsk && !r.Recheck(&h):
		wrong = "asks, and nobody answers"
	case got == saysAsk && r.Exact && !deep && !part:
		wrong = "is exact, and asks"
	}
	if wrong != "" {
		t.Fatalf("%s: %s at %s: %d\n% x\n%v", wrong, p, r.Hook.Name, got, pkt, p.Explain(a, pkt, nil))
	}
	tr.pairs++
	tr.matches += b2i(matches)
	tr.inexact += b2i(!r.Exact)
	tr.asked += b2i(got == saysAsk)
	tr.certain += b2i(got == saysYes && !r.Exact)
	seen := map[string]bool{}
	for i, test := range p.Compiled() {
		if steps != nil && steps[i].Asked && steps[i].Why == "" && !seen[test.Field] {
			seen[test.Field] = true
			tr.fields[test.Field]++
		}
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// report asserts that the trial says something: that so many pairs were tried, that enough of them match and do not, and that
// each field of packets was asked, and there, in so many.
func (tr *trial) report(t *testing.T, pairs, perField int) {
	if tr.pairs != pairs {
		t.Errorf("%d pairs, want %d", tr.pairs, pairs)
	}
	share := tr.shares(t)
	least := "zero"
	for _, f := range filter.Fields(addr.Network) {
		if f.Name == "true" || f.Name == "false" { // decided when the text is compiled
			continue
		}
		if n := tr.fields[f.Name]; n < perField {
			t.Errorf("%s was asked in %d pairs, want %d", f.Name, n, perField)
		}
		if tr.fields[f.Name] < tr.fields[least] {
			least = f.Name
		}
	}
	if tr.asked == 0 || tr.certain == 0 {
		t.Error("no program left anything to user space")
	}
	t.Logf("%d pairs, %d %% match; %d of programs that leave tests to user space: %d match for certain; user space is asked about %d; least asked field: %s, in %d pairs",
		tr.pairs, share, tr.inexact, tr.certain, tr.asked, least, tr.fields[least])
}

// shares asserts that enough match, and do not, and returns how many of 100.
func (tr *trial) shares(t *testing.T) int {
	t.Helper()
	share := 100 * tr.matches / tr.pairs
	if share < 20 || share > 80 {
		t.Errorf("%d %% of the pairs match", share)
	}
	return share
}

// The same as in the kernel, without one.
func TestMachineAgrees(t *testing.T) {
	tr := newTrial(7, inMachine)
	const filters, perFilter = 1200, 20
	tr.try(t, filters, perFilter)
	tr.report(t, filters*perFilter, 50)
}

// A program that was cut, since it would be too large, takes no packet less.
func TestMachineTakesMore(t *testing.T) {
	tr := newTrial(8, inMachine)
	cut, packets := 0, tr.pool(50)
	for range 400 {
		p := tr.filters(addr.Network, addr.Address{}, packets[tr.IntN(len(packets))], tr.fields).random(t)
		r, err := lower.Within(p, lower.Prerouting, tr.IntN(4))
		if err != nil {
			t.Fatal(err)
		}
		whole, err := lower.Lower(p, lower.Prerouting)
		if err != nil {
			t.Fatal(err)
		}
		cut += b2i(len(r.Left) > len(whole.Left))
		run := inMachine(t, r.Program(lower.Code{}))
		for _, pkt := range packets {
			a, ctx := tr.address(&r.Hook, addr.Network, pkt)
			var h wire.Headers
			wire.Parse(pkt, &h)
			switch got, want := run(pkt, ctx) != 0, p.Match(&a, pkt, nil); {
			case want && !got:
				t.Fatalf("refuses what matches: %s\n% x", p, pkt)
			case got != want && !r.Recheck(&h):
				t.Fatalf("got %v, and nobody asks again, want %v: %s\n% x", got, want, p, pkt)
			}
		}
	}
	if cut < 100 {
		t.Errorf("only %d programs were cut", cut)
	}
}

package lower_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/filter"
	"github.com/weirnet/weir/divertdrv/filter/lower"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/internal/nettest"
)

// Offsets in struct __sk_buff, and its size (linux/bpf.h).
const (
	skbMark    = 8
	skbIfIndex = 40
	skbGSOSize = 176
	skbSize    = 192
)

// load loads a program until the test ends.
func load(t testing.TB, ins asm.Instructions) *ebpf.Program {
	t.Helper()
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SocketFilter, Instructions: ins, License: "Apache-2.0"})
	if err != nil {
		t.Fatalf("%+v\n%v", err, ins)
	}
	t.Cleanup(func() { _ = prog.Close() })
	return prog
}

// run runs a program on a packet. ctx is a struct __sk_buff; nil: zeros. The frame around it is of no protocol, since the kernel
// refuses to run on what is too short for its own; programs do not look at it.
func run(t testing.TB, prog *ebpf.Program, pkt, ctx []byte) bool {
	t.Helper()
	opts := ebpf.RunOptions{Data: append(make([]byte, 14, 14+len(pkt)), pkt...)}
	if ctx != nil {
		opts.Context = ctx
	}
	got, err := prog.Run(&opts)
	if err != nil {
		t.Fatalf("%d bytes: %v", len(pkt), err)
	}
	return got != 0
}

// maxRun is the longest packet that BPF_PROG_TEST_RUN takes, about: a page, less the room around it.
const maxRun = 3400

// pool is packets to try filters on.
func (d dice) pool(n int) [][]byte {
	pool := make([][]byte, 0, n)
	for len(pool) < n {
		if b := d.packet(); len(b) <= maxRun {
			pool = append(pool, b)
		}
	}
	return pool
}

// hooks are those that are shipped, and what a driver can make of them.
var hooks = []lower.Hook{
	lower.Output, lower.OutputLoopback, lower.Input, lower.Prerouting, lower.Forward,
	{Name: "output of a driver that knows impostors", Outbound: true, Impostor: lower.Given},
	{Name: "input on an interface", IfIdx: 3, Impostor: lower.No},
	{Name: "input of whole packets", SeesIfIdx: true, Impostor: lower.Given},
}

// markIsImpostor makes the mark of a packet tell impostors.
var markIsImpostor = asm.Instructions{asm.LoadMem(asm.R0, asm.R6, skbMark, asm.Word)}

// trial is the filters tried, and what came of them.
type trial struct {
	dice
	ifIdx             []uint32
	pairs, matches    int
	inexact, rechecks int
	fields            map[string]int // pairs of which the field was asked, and there
}

// The kernel answers as the evaluator does, and where it cannot, for no packet less and for none that it could have told.
func TestKernelAgrees(t *testing.T) {
	nettest.Need(t, nettest.Root)
	const wantFilters, perFilter = 2048, 50
	seed := uint64(1)
	if s := os.Getenv("WEIR_SEED"); s != "" {
		fmt.Sscan(s, &seed)
	}
	tr := &trial{dice: newDice(seed), fields: map[string]int{}, ifIdx: interfaces(t)}
	pool := tr.pool(2000)
	for i := range wantFilters {
		hook := &hooks[i%len(hooks)]
		tr.filter(t, hook, pool, perFilter)
	}
	tr.report(t, wantFilters, perFilter)
}

// interfaces that a run may be on.
func interfaces(t *testing.T) []uint32 {
	t.Helper()
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	var list []uint32
	for _, i := range all {
		list = append(list, uint32(i.Index))
	}
	return list
}

func (tr *trial) filter(t *testing.T, hook *lower.Hook, pool [][]byte, n int) {
	layer := addr.Network
	if hook.Name == lower.Forward.Name {
		layer = addr.NetworkForward
	}
	sample := pool[tr.IntN(len(pool))]
	a, _ := tr.address(hook, layer, sample)
	p := tr.filters(layer, a, sample, tr.fields).random(t)
	r, err := lower.Lower(p, *hook)
	if err != nil {
		t.Fatal(err)
	}
	var code lower.Code
	if hook.Impostor == lower.Given {
		code.Before = markIsImpostor
	}
	prog := load(t, r.Program(code))
	defer prog.Close()
	for i := range n {
		pkt := pool[tr.IntN(len(pool))]
		if i%2 == 0 {
			pkt = tr.like(sample)
		}
		a, ctx := tr.address(hook, layer, pkt)
		tr.packet(t, p, r, run(t, prog, pkt, ctx), &a, pkt)
	}
}

// address returns what a driver says of a packet, and the context in which the kernel sees it.
func (d *trial) address(hook *lower.Hook, layer addr.Layer, pkt []byte) (a addr.Address, ctx []byte) {
	ctx = make([]byte, skbSize)
	a.SetLayer(layer, addr.EventPacket)
	a.Timestamp = d.Int64N(1 << 40)
	a.SetOutbound(hook.Outbound)
	a.SetLoopback(hook.Loopback)
	a.SetIPv6(pkt[0]>>4 == 6)
	ifIdx := d.ifIdx[d.IntN(len(d.ifIdx))]
	binary.LittleEndian.PutUint32(ctx[skbIfIndex:], ifIdx)
	if hook.IfIdx != 0 {
		ifIdx = hook.IfIdx
	}
	a.SetInterface(ifIdx, 0)
	if hook.Impostor != lower.No && d.chance(50) {
		a.SetImpostor(true)
		ctx[skbMark] = 1 << d.IntN(8)
	}
	return a, ctx
}

func (tr *trial) packet(t *testing.T, p *filter.Program, r *lower.Result, got bool, a *addr.Address, pkt []byte) {
	var h wire.Headers
	wire.Parse(pkt, &h)
	matches := p.Match(a, pkt, nil)
	want, steps := answer(&r.Hook, p, a, pkt)
	deep := h.Version == 6 && h.TransportOff > 40+8*lower.MaxExtensions
	switch {
	case matches && !got:
		t.Fatalf("the kernel refuses what matches at %s: %s\n% x", r.Hook.Name, p, pkt)
	case got != want && !(deep && r.Recheck(&h)):
		t.Fatalf("got %v, want %v at %s: %s\n% x\n%v", got, want, r.Hook.Name, p, pkt, p.Explain(a, pkt, nil))
	case got != matches && !r.Recheck(&h):
		t.Fatalf("got %v, and nobody asks again, want %v at %s: %s\n% x", got, matches, r.Hook.Name, p, pkt)
	}
	tr.pairs++
	if matches {
		tr.matches++
	}
	if !r.Exact {
		tr.inexact++
	}
	if r.Recheck(&h) {
		tr.rechecks++
	}
	seen := map[string]bool{}
	for i, test := range p.Compiled() {
		if steps != nil && steps[i].Asked && steps[i].Why == "" && !seen[test.Field] {
			seen[test.Field] = true
			tr.fields[test.Field]++
		}
	}
}

// report asserts that the trial says something: of each field of packets, of matches and of what does not match.
func (tr *trial) report(t *testing.T, filters, perFilter int) {
	if tr.pairs != filters*perFilter {
		t.Errorf("%d pairs, want %d", tr.pairs, filters*perFilter)
	}
	share := 100 * tr.matches / tr.pairs
	if share < 20 || share > 80 {
		t.Errorf("%d %% of the pairs match", share)
	}
	least, least_ := "", 1<<30
	for _, f := range filter.Fields(addr.Network) {
		if f.Name == "true" || f.Name == "false" { // decided when the text is compiled
			continue
		}
		if n := tr.fields[f.Name]; n < 500 {
			t.Errorf("%s was asked in %d pairs, want 500", f.Name, n)
		}
		if tr.fields[f.Name] < tr.fields[least] {
			least = f.Name
		}
	}
	t.Logf("%d filters, %d pairs, %d %% match; %d pairs of inexact programs, %d to be asked again; least asked: %s, %d times",
		filters, tr.pairs, share, tr.inexact, tr.rechecks, least, tr.fields[least])
}

package lower_test

import (
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/weirnet/weir/divertdrv/filter/lower"
	"github.com/weirnet/weir/internal/nettest"
)

// count adds one to the number in a map's only entry, with the context in R1 free.
func count(m *ebpf.Map, more ...asm.Instruction) asm.Instructions {
	return append(asm.Instructions{
		asm.LoadMapValue(asm.R1, m.FD(), 0), asm.Mov.Imm(asm.R2, 1), asm.StoreXAdd(asm.R1, asm.R2, asm.DWord),
	}, more...)
}

func newMap(t *testing.T, kind ebpf.MapType, key, value uint32) *ebpf.Map {
	t.Helper()
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: kind, KeySize: key, ValueSize: value, MaxEntries: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

// What a driver does with a filter: it looks up who sent the packet, skips some, counts what matches and what does not, and
// says by itself what the rule gets to hear.
func TestProgramOfADriver(t *testing.T) {
	nettest.Need(t, nettest.Root)
	matched, other := newMap(t, ebpf.Array, 4, 8), newMap(t, ebpf.Array, 4, 8)
	senders := newMap(t, ebpf.Hash, 8, 4)
	const key, skipped, sender = -lower.StackSize - 8, 9, 7
	if err := senders.Put(uint64(sender), uint32(1)); err != nil {
		t.Fatal(err)
	}
	prog := load(t, mustLower(t, "tcp and impostor", lower.Hook{Outbound: true, Impostor: lower.Given}).Program(lower.Code{
		Before: asm.Instructions{
			asm.Mov.Reg(asm.R1, asm.R6), asm.FnGetSocketCookie.Call(), // the key, outside of a test
			asm.LoadMem(asm.R0, asm.R6, skbMark, asm.Word), asm.JEq.Imm(asm.R0, skipped, lower.LabelNoMatch),
			asm.StoreMem(asm.RFP, key, asm.R0, asm.DWord),
			asm.LoadMapPtr(asm.R1, senders.FD()), asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, key), asm.FnMapLookupElem.Call(),
			asm.JEq.Imm(asm.R0, 0, "Unknown"),
			asm.LoadMem(asm.R0, asm.R0, 0, asm.Word),
			asm.Mov.Imm(asm.R1, 0).WithSymbol("Unknown"),
		},
		Match:   count(matched, asm.LoadMem(asm.R3, asm.RFP, key, asm.DWord), asm.Mov.Imm(asm.R0, 2), asm.Return()),
		NoMatch: count(other, asm.Mov.Imm(asm.R0, 3), asm.Return()),
	}))
	tcp := make([]byte, 40)
	tcp[0], tcp[3], tcp[9], tcp[32] = 0x45, 40, 6, 5<<4
	for _, tt := range []struct {
		mark byte
		want uint32
	}{{0, 3}, {sender, 2}, {skipped, 3}} {
		ctx := make([]byte, skbSize)
		ctx[skbMark] = tt.mark
		if got := test(t, prog, tcp, ctx); got != tt.want {
			t.Errorf("mark %d: %d, want %d", tt.mark, got, tt.want)
		}
	}
	for m, want := range map[*ebpf.Map]uint64{matched: 1, other: 2} {
		var n uint64
		if err := m.Lookup(uint32(0), &n); err != nil || n != want {
			t.Errorf("counted %d, %v; want %d", n, err, want)
		}
	}
}

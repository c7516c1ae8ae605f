package nfqdrv

import (
	"fmt"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// counter is one number that programs count up.
type counter struct{ m *ebpf.Map }

func newCounter() (counter, error) {
	m, err := ebpf.NewMap(&ebpf.MapSpec{Name: "weir_count", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1})
	if err != nil {
		return counter{}, fmt.Errorf("make a counter: %w", err)
	}
	return counter{m}, nil
}

// add is instructions that count one. They use R0 to R5 and the topmost 8 bytes of the stack, and go on behind their end by that
// label, which is theirs.
func (c counter) add(label string) asm.Instructions {
	return asm.Instructions{
		asm.Mov.Imm(asm.R1, 0),
		asm.StoreMem(asm.RFP, stackKey, asm.R1, asm.DWord),
		asm.LoadMapPtr(asm.R1, c.m.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, stackKey),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, label),
		asm.Mov.Imm(asm.R1, 1),
		asm.StoreXAdd(asm.R0, asm.R1, asm.DWord),
		asm.Mov.Imm(asm.R0, 0).WithSymbol(label),
	}
}

func (c counter) value() (n uint64) {
	if c.m == nil || c.m.Lookup(uint32(0), &n) != nil {
		return 0
	}
	return n
}

func (c counter) close() error {
	if c.m == nil {
		return nil
	}
	return c.m.Close()
}

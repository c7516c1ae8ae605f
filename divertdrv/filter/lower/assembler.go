package lower

import (
	"slices"
	"strconv"

	"github.com/cilium/ebpf/asm"
)

// assembler appends instructions and labels.
type assembler struct {
	ins    asm.Instructions
	label  string // of the next instruction
	alias  map[string]string
	labels int
}

func (a *assembler) add(ins ...asm.Instruction) {
	if a.label != "" {
		ins[0] = ins[0].WithSymbol(a.label)
		a.label = ""
	}
	a.ins = append(a.ins, ins...)
}

// here puts a label at the next instruction.
func (a *assembler) here(label string) {
	if a.label != "" {
		a.alias[label] = a.label
		return
	}
	a.label = label
}

// fresh returns a label that is not in use.
func (a *assembler) fresh() string {
	a.labels++
	return "l" + strconv.Itoa(a.labels)
}

// finish returns the instructions: labels at one place are one, and no jump leads to the next instruction.
func (a *assembler) finish() asm.Instructions {
	for i := range a.ins {
		ref := a.ins[i].Reference()
		for a.alias[ref] != "" {
			ref = a.alias[ref]
		}
		if ref != "" {
			a.ins[i] = a.ins[i].WithReference(ref)
		}
	}
	return straighten(a.ins)
}

// straighten removes jumps to the next instruction, and turns a conditional jump over a jump round.
func straighten(ins asm.Instructions) asm.Instructions {
	var out asm.Instructions // in reverse
	for i := len(ins) - 1; i >= 0; i-- {
		in, n := ins[i], len(out)
		switch {
		case n > 0 && isJump(in) && in.Symbol() == "" && in.Reference() == out[n-1].Symbol():
			continue
		case n > 1 && isJump(out[n-1]) && out[n-1].Symbol() == "" && in.Reference() != "" && in.Reference() == out[n-2].Symbol():
			if op, ok := opposite[in.OpCode.JumpOp()]; ok && in.OpCode.Class().IsJump() {
				in.OpCode = in.OpCode.SetJumpOp(op)
				in = in.WithReference(out[n-1].Reference())
				out = out[:n-1]
			}
		}
		out = append(out, in)
	}
	slices.Reverse(out)
	return out
}

func isJump(in asm.Instruction) bool {
	return in.OpCode.Class().IsJump() && in.OpCode.JumpOp() == asm.Ja
}

// opposite conditions. There is none of JSet.
var opposite = map[asm.JumpOp]asm.JumpOp{
	asm.JEq: asm.JNE, asm.JNE: asm.JEq, asm.JGT: asm.JLE, asm.JLE: asm.JGT, asm.JGE: asm.JLT, asm.JLT: asm.JGE,
}

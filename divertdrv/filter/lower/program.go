package lower

import "github.com/cilium/ebpf/asm"

// Code is what a program does besides filtering. Of all of it:
//
//   - R6 holds the context (struct __sk_buff) and must keep it;
//   - the filter uses the StackSize upper bytes of the stack; what Before keeps below them is there for Match, Ask and NoMatch,
//     which may use the whole stack and find the context in R1 too, and nothing in the other registers;
//   - labels may be of any name that starts with a capital letter.
type Code struct {
	// Before is what comes first. It may end the program by itself, or jump to LabelMatch or LabelNoMatch; it goes on to the
	// filter at its end. Where the hook's Impostor is Given, R0 is then 0 for a packet of the stack and not 0 for an impostor.
	Before asm.Instructions
	// Match and NoMatch end the program: its return value is what xt_bpf matches by, 0 being no match. Where they are nil,
	// the program returns 1 and 0.
	Match, NoMatch asm.Instructions
	// Ask ends the program for a packet of which only user space can say whether it matches: its answer depends on a test that
	// is left, it is a fragment that is to be reassembled, or it has too many extension headers. Where Ask is nil, such a packet
	// ends in Match. So the kernel can drop by one program what matches for certain, and queue by another what Ask is about.
	Ask asm.Instructions
}

// Labels to which Code.Before may jump.
const (
	LabelMatch   = labelMatch
	LabelNoMatch = labelNoMatch
)

// Program returns the instructions of a BPF_PROG_TYPE_SOCKET_FILTER: Before, the filter, and what is done then. What cannot be
// reached is not among them, for the verifier wants it so.
func (r *Result) Program(c Code) asm.Instructions {
	ins := asm.Instructions{asm.Mov.Reg(ctx, asm.R1)}
	ins = append(ins, c.Before...)
	for _, in := range r.body {
		if c.Ask == nil && in.Reference() == labelAsk {
			in = in.WithReference(labelMatch)
		}
		ins = append(ins, in)
	}
	ins = append(ins, ending(labelMatch, c.Match, 1)...)
	ins = append(ins, ending(labelAsk, c.Ask, 1)...)
	ins = append(ins, ending(labelNoMatch, c.NoMatch, 0)...)
	return reachable(ins)
}

func ending(label string, code asm.Instructions, result int32) asm.Instructions {
	if code == nil {
		return asm.Instructions{asm.Mov.Imm(asm.R0, result).WithSymbol(label), asm.Return()}
	}
	return append(asm.Instructions{asm.Mov.Reg(asm.R1, ctx).WithSymbol(label)}, code...)
}

// reachable keeps the instructions to which some way leads from the first.
func reachable(ins asm.Instructions) asm.Instructions {
	at := make(map[string]int, len(ins)/4)
	for i := range ins {
		if s := ins[i].Symbol(); s != "" {
			at[s] = i
		}
	}
	reached := make([]bool, len(ins))
	for open := []int{0}; len(open) > 0; {
		i := open[len(open)-1]
		open = open[:len(open)-1]
		for ; i < len(ins) && !reached[i]; i++ {
			reached[i] = true
			if to, ok := at[ins[i].Reference()]; ok {
				open = append(open, to)
			}
			if isJump(ins[i]) || ins[i].OpCode.JumpOp() == asm.Exit && ins[i].OpCode.Class().IsJump() {
				break
			}
		}
	}
	var kept asm.Instructions
	for i := range ins {
		if reached[i] {
			kept = append(kept, ins[i])
		}
	}
	return kept
}

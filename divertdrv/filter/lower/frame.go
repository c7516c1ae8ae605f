package lower

import "github.com/cilium/ebpf/asm"

// Registers. The context is in ctx from the first instruction of a program to its last. The others are what parsing works
// with; tests find all that they need in the stack.
const (
	ctx       = asm.R6
	length    = asm.R7 // how many bytes of the packet are here, by the IP header and by the buffer
	steps     = asm.R7 // while it walks extension headers
	transport = asm.R8 // the offset of the transport header
	protocolR = asm.R9 // what it is
)

// StackSize is how many bytes of the stack, from its top, the filter uses. What Code.Before keeps below them stays.
const StackSize = 112

// The stack, as offsets from its top. Numbers stand in the upper halves of 8-byte slots: the verifier does not follow what is
// there, so that ways through a program on which such a number differs are one way for it.
const (
	ipArea        = -40 // the IP header
	transportArea = -64 // the transport header: 20 bytes
	wordArea      = -72 // a word of the packet; an extension header

	lengthSlot   = -76
	payloadSlot  = -84 // offset of the payload
	protocolSlot = -92
	fragmentSlot = -100
	impostorSlot = -108
)

// What fragmentSlot says. Neither is 0, which the verifier would follow.
const (
	fragmentYes = 1
	fragmentNo  = 2
)

// Offsets in struct __sk_buff (linux/bpf.h).
const (
	skbLen     = 0
	skbIfIndex = 40
	skbGSOSize = 176
)

func loadSlot(dst asm.Register, slot int16) asm.Instruction {
	return asm.LoadMem(dst, asm.RFP, slot, asm.Word)
}

func storeSlot(slot int16, src asm.Register) asm.Instruction {
	return asm.StoreMem(asm.RFP, slot, src, asm.Word)
}

func loadContext(dst asm.Register, off int16) asm.Instruction {
	return asm.LoadMem(dst, ctx, off, asm.Word)
}

// loadBytes copies size bytes of the packet at the offset in R2 to the stack. It is only used for bytes that are there: where
// there are none, R0 is not 0 and the stack is zero.
func loadBytes(to int32, size int32) asm.Instructions {
	return asm.Instructions{
		asm.Mov.Reg(asm.R1, ctx),
		asm.Mov.Reg(asm.R3, asm.RFP),
		asm.Add.Imm(asm.R3, to),
		asm.Mov.Imm(asm.R4, size),
		asm.FnSkbLoadBytes.Call(),
	}
}

// sizes of memory accesses, by bytes.
var sizes = map[uint8]asm.Size{1: asm.Byte, 2: asm.Half, 4: asm.Word}

// loadBig loads a big-endian word of the stack.
func loadBig(dst asm.Register, off int16, size uint8) asm.Instructions {
	ins := asm.Instructions{asm.LoadMem(dst, asm.RFP, off, sizes[size])}
	if size > 1 {
		ins = append(ins, asm.HostTo(asm.BE, dst, sizes[size]))
	}
	return ins
}

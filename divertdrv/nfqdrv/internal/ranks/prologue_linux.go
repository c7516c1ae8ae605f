package ranks

import "github.com/cilium/ebpf/asm"

// Path is how a packet came to the hook at which a program looks at it.
type Path uint8

const (
	Outbound Path = iota // the output hook: from a socket of this host
	Inbound              // the prerouting, input and forward hooks: from a device
)

const (
	frameMask, frameBits = 0b11, 0b10 // of a source's first byte: unicast, locally administered
	sourceOffset         = 6          // of the source in a frame

	rankUnknown = "rank_unknown"
	stackKey    = -8
	fromMAC     = 0 // BPF_HDR_START_MAC
)

// Prologue begins a socket-filter program of a handle of rank own: it jumps to the caller's label skip when the packet was
// injected by a handle whose packets own is not to see. It expects the context in R1 and leaves it in R1 and R6; it uses
// the other registers up to R5 and the topmost 8 bytes of the stack. The program must not outlive its use of the label
// "rank_unknown". The registry may be closed once the program is loaded.
func (r *Registry) Prologue(at Path, own Rank, skip string) asm.Instructions {
	key := cookieKey
	if at == Inbound {
		key = frameKey
	}
	ins := append(asm.Instructions{asm.Mov.Reg(asm.R6, asm.R1)}, key()...)
	return append(ins,
		asm.LoadMapPtr(asm.R1, r.table.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, stackKey),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, rankUnknown),
		asm.LoadMem(asm.R0, asm.R0, 0, asm.DWord), // entry.Rank
		asm.LoadImm(asm.R1, int64(own), asm.DWord),
		asm.JLE.Reg(asm.R0, asm.R1, skip),
		asm.Mov.Reg(asm.R1, asm.R6).WithSymbol(rankUnknown),
	)
}

// cookieKey puts the cookie of the packet's socket on the stack. A packet without a socket has cookie 0, which is nobody's.
func cookieKey() asm.Instructions {
	return asm.Instructions{
		asm.FnGetSocketCookie.Call(),
		asm.StoreMem(asm.RFP, stackKey, asm.R0, asm.DWord),
	}
}

// frameKey puts the source of the packet's frame on the stack. A packet without a frame, or from a device whose address some
// authority gave it, is not ours and is spared the lookup.
func frameKey() asm.Instructions {
	return asm.Instructions{
		asm.Mov.Imm(asm.R0, -1),
		asm.StoreMem(asm.RFP, stackKey, asm.R0, asm.DWord),
		asm.Mov.Imm(asm.R2, sourceOffset),
		asm.Mov.Reg(asm.R3, asm.RFP),
		asm.Add.Imm(asm.R3, stackKey),
		asm.Mov.Imm(asm.R4, 6),
		asm.Mov.Imm(asm.R5, fromMAC),
		asm.FnSkbLoadBytesRelative.Call(),
		asm.JNE.Imm(asm.R0, 0, rankUnknown),
		asm.LoadMem(asm.R0, asm.RFP, stackKey, asm.Byte),
		asm.And.Imm(asm.R0, frameMask),
		asm.JNE.Imm(asm.R0, frameBits, rankUnknown),
	}
}

package ranks

import "github.com/cilium/ebpf/asm"

const (
	rankUnknown = "rank-unknown"
	stackKey    = -8
)

// Prologue begins a socket-filter program of a handle of rank own: it jumps to the caller's label skip when the packet was
// injected by a handle whose packets own is not to see. It expects the context in R1 and leaves it in R1 and R6; it uses
// the other registers up to R5, and the topmost 8 bytes of the stack.
//
// key leaves the packet's key in R0, with the context in R6: [SocketKey] at the output hook, reinject.Origin at the hooks of
// packets that come in. The label "rank-unknown" is the prologue's. The registry may be closed once the program is loaded.
func (r *Registry) Prologue(key asm.Instructions, own Rank, skip string) asm.Instructions {
	ins := append(asm.Instructions{asm.Mov.Reg(asm.R6, asm.R1)}, key...)
	return append(ins,
		asm.JEq.Imm(asm.R0, 0, rankUnknown), // nobody's
		asm.StoreMem(asm.RFP, stackKey, asm.R0, asm.DWord),
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

// SocketKey leaves in R0 the cookie of the packet's socket: the key of what a socket of this host sent. A packet without a
// socket has 0.
func SocketKey() asm.Instructions {
	return asm.Instructions{asm.Mov.Reg(asm.R1, asm.R6), asm.FnGetSocketCookie.Call()}
}

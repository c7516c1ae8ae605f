package reinject

import (
	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
)

// The inlet's frames look like Ethernet's. Where the source address belongs is what the program must know:
//
//	0      6                    10     12      14
//	+------+--------------------+------+-------+----------
//	| dest | target's index, BE | kind | type  | IP packet
//	+------+--------------------+------+-------+----------
//
// kind 0: the target has Ethernet addresses, dest is its own. kind 1: it has none.
const (
	macSource  = 6
	kindOff    = 10
	typeOff    = 12
	kindPlain  = 0
	kindNoAddr = 1
)

// sendersMax bounds the injectors of one process and namespace.
const sendersMax = 4096

// sender is what the program must know of the socket a frame came from.
type sender struct {
	Source [6]byte
	Index  uint16
	Hash   uint32
}

const (
	senderIndex = 6
	senderHash  = 8
)

// Of struct __sk_buff and the enumerations in linux/bpf.h and linux/pkt_cls.h.
const (
	skbTCIndex   = 44
	flagIngress  = 1 // BPF_F_INGRESS
	actionShot   = 2 // TC_ACT_SHOT: the sender gets ENOBUFS
	actionStolen = 4 // TC_ACT_STOLEN; tcx takes it as "go on", and the inlet without carrier drops the original
)

func newSenders() (*ebpf.Map, error) {
	m, err := ebpf.NewMap(&ebpf.MapSpec{
		Name: "weir_senders", Type: ebpf.Hash, KeySize: 8, ValueSize: 12, MaxEntries: sendersMax, Flags: noPrealloc,
	})
	if err != nil {
		return nil, opening("BPF map of senders (needs CAP_BPF)", err)
	}
	return m, nil
}

const noPrealloc = 1 // BPF_F_NO_PREALLOC

// newProgram loads what runs on the inlet's egress. A frame of a known sender gets the sender's source address or tag and goes
// to the ingress of its target; any other frame is dropped. The target gets a clone, since only then does the program learn
// whether it was taken (bpf_redirect acts later): what is lost here is the sender's error. Measured: a tenth more per packet.
func newProgram(senders *ebpf.Map) (*ebpf.Program, error) {
	ins := asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.FnGetSocketCookie.Call(),
		asm.StoreMem(asm.RFP, -8, asm.R0, asm.DWord),
		asm.LoadMapPtr(asm.R1, senders.FD()),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, -8),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "drop"),
		asm.Mov.Reg(asm.R7, asm.R0),

		asm.Mov.Reg(asm.R1, asm.R6),
		asm.Mov.Imm(asm.R2, macSource),
		asm.Mov.Reg(asm.R3, asm.RFP),
		asm.Add.Imm(asm.R3, -8),
		asm.Mov.Imm(asm.R4, 6),
		asm.FnSkbLoadBytes.Call(),
		asm.JNE.Imm(asm.R0, 0, "drop"),
		asm.LoadMem(asm.R8, asm.RFP, -8, asm.Word),
		asm.HostTo(asm.BE, asm.R8, asm.Word),
		asm.LoadMem(asm.R1, asm.RFP, -8+kindOff-macSource, asm.Half),
		asm.JEq.Imm(asm.R1, kindPlain, "address"),

		asm.LoadMem(asm.R1, asm.R7, senderIndex, asm.Half),
		asm.StoreMem(asm.R6, skbTCIndex, asm.R1, asm.Word),
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.LoadMem(asm.R2, asm.R7, senderHash, asm.Word),
		asm.FnSetHash.Call(),

		asm.Mov.Reg(asm.R1, asm.R6).WithSymbol("address"),
		asm.Mov.Imm(asm.R2, macSource),
		asm.Mov.Reg(asm.R3, asm.R7),
		asm.Mov.Imm(asm.R4, 6),
		asm.Mov.Imm(asm.R5, 0),
		asm.FnSkbStoreBytes.Call(),
		asm.JNE.Imm(asm.R0, 0, "drop"),

		asm.Mov.Reg(asm.R1, asm.R6),
		asm.Mov.Reg(asm.R2, asm.R8),
		asm.Mov.Imm(asm.R3, flagIngress),
		asm.FnCloneRedirect.Call(),
		asm.JNE.Imm(asm.R0, 0, "drop"),
		asm.Mov.Imm(asm.R0, actionStolen),
		asm.Return(),

		asm.Mov.Imm(asm.R0, actionShot).WithSymbol("drop"),
		asm.Return(),
	}
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Name: "weir_inlet", Type: ebpf.SchedCLS, License: "Apache-2.0", Instructions: ins})
	if err != nil {
		return nil, opening("load the inlet's program (needs CAP_BPF and CAP_NET_ADMIN)", err)
	}
	return p, nil
}

package nfqdrv

import (
	"crypto/rand"
	"encoding/binary"

	"github.com/cilium/ebpf/asm"

	"github.com/weirnet/weir/divertdrv/nfqdrv/internal/ranks"
	"github.com/weirnet/weir/divertdrv/nfqdrv/internal/rules"
)

// source is the secret address by which a handle's inbound injections are known: 46 random bits of a local unicast address.
type source [6]byte

const (
	localMask, local = 0b11, 0b10 // of the first byte: locally administered, unicast

	// frameKey in a key says that it is a source and no cookie: the kernel counts cookies up from 1.
	frameKey = 1 << 63
)

func newSource() (s source) {
	_, _ = rand.Read(s[:]) // never fails (documented)
	s[0] = s[0]&^localMask | local
	return s
}

// key is the source in the table of ranks.
func (s source) key() uint64 {
	var b [8]byte
	copy(b[2:], s[:])
	return frameKey | binary.BigEndian.Uint64(b[:])
}

// Fields of struct __sk_buff (linux/bpf.h), and where a frame has its source.
const (
	skbTCIndex = 44
	skbHash    = 68

	macSource = 6
	startMAC  = 0 // BPF_HDR_START_MAC

	stackKey = -8
)

// origin leaves in R0 the key of whoever injected a packet that is seen at a hook, 0 for nobody. The context is in R6.
func origin(at rules.Hook) asm.Instructions {
	if at == rules.Output {
		return ranks.SocketKey()
	}
	return frameOrigin()
}

// frameOrigin reads what package reinject wrote: the tag in the socket buffer of an interface without link addresses, else the
// source of the frame. A packet without a frame has none.
func frameOrigin() asm.Instructions {
	const tagMark = 1 << 15 // see reinject.TagIndex
	return asm.Instructions{
		asm.LoadMem(asm.R1, asm.R6, skbTCIndex, asm.Word),
		asm.Mov.Reg(asm.R0, asm.R1),
		asm.And.Imm(asm.R0, tagMark),
		asm.JEq.Imm(asm.R0, 0, "Frame"),
		asm.LoadMem(asm.R0, asm.R6, skbHash, asm.Word), // source[2:6]
		asm.Mov.Reg(asm.R2, asm.R1),
		asm.And.Imm(asm.R2, 0xff), // source[1]
		asm.LSh.Imm(asm.R2, 32),
		asm.Or.Reg(asm.R0, asm.R2),
		asm.RSh.Imm(asm.R1, 8),
		asm.And.Imm(asm.R1, 0x3f), // source[0] without its fixed bits
		asm.LSh.Imm(asm.R1, 2),
		asm.Or.Imm(asm.R1, local),
		asm.LSh.Imm(asm.R1, 40),
		asm.Or.Reg(asm.R0, asm.R1),
		asm.Ja.Label("Key"),

		asm.Mov.Imm(asm.R0, 0).WithSymbol("Frame"),
		asm.StoreMem(asm.RFP, stackKey, asm.R0, asm.DWord),
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.Mov.Imm(asm.R2, macSource),
		asm.Mov.Reg(asm.R3, asm.RFP),
		asm.Add.Imm(asm.R3, stackKey+2), // so that the eight bytes are the address as a number in network order
		asm.Mov.Imm(asm.R4, 6),
		asm.Mov.Imm(asm.R5, startMAC),
		asm.FnSkbLoadBytesRelative.Call(),
		asm.LoadMem(asm.R0, asm.RFP, stackKey, asm.DWord),
		asm.HostTo(asm.BE, asm.R0, asm.DWord),
		asm.Mov.Reg(asm.R1, asm.R0),
		asm.RSh.Imm(asm.R1, 40),
		asm.And.Imm(asm.R1, localMask),
		asm.JEq.Imm(asm.R1, local, "Key"), // also false where there is no frame: the bytes are zero then
		asm.Mov.Imm(asm.R0, 0),
		asm.Ja.Label("NoKey"),

		asm.LoadImm(asm.R1, -1<<63, asm.DWord).WithSymbol("Key"),
		asm.Or.Reg(asm.R0, asm.R1),
		asm.Mov.Reg(asm.R6, asm.R6).WithSymbol("NoKey"),
	}
}

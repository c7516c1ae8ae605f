package lower

import (
	"github.com/cilium/ebpf/asm"

	"github.com/weirnet/weir/divertdrv/wire"
)

// Labels of the walk over extension headers.
const (
	labelNext  = "next"  // a header
	labelKnown = "known" // the protocol is
)

// walk steps over IPv6 extension headers as wire.Parse does, and falls through with the protocol and its offset. A header that
// is cut off and a second Fragment header stop it; behind the Fragment header of a later fragment there is no transport.
//
// It is a loop: the verifier follows each round, which its number tells from the others. So that the ways through a round are
// one way for it in the next, the protocol is read from the stack again where a jump has told the verifier what it is.
func (e *emitter) walk() {
	extension := e.fresh()
	e.add(
		asm.LoadMem(protocolR, asm.RFP, ipArea+6, asm.Byte), asm.Mov.Imm(transport, wire.IPv6HeaderLen), asm.Mov.Imm(steps, 0),
		asm.StoreImm(asm.RFP, fragmentSlot, fragmentNo, asm.Word),
	)
	e.here(labelNext)
	e.add(storeSlot(protocolSlot, protocolR))
	for _, proto := range []int32{wire.ProtoTCP, wire.ProtoUDP} { // at once what is most
		e.add(asm.JEq.Imm(protocolR, proto, labelKnown))
	}
	for _, proto := range []int32{
		wire.ProtoHopByHop, wire.ProtoFragment, wire.ProtoDestOpts, wire.ProtoRouting, wire.ProtoAH, wire.ProtoMobility,
	} {
		e.add(asm.JEq.Imm(protocolR, proto, extension))
	}
	e.add(asm.Ja.Label(labelKnown))
	e.here(extension)
	e.extension()
	e.here(labelKnown)
	e.add(loadSlot(length, lengthSlot), loadSlot(protocolR, protocolSlot))
}

const extensionUnit = 8 // bytes; a header has at least as many

// extension steps over one header. What is behind MaxExtensions is not known.
func (e *emitter) extension() {
	ah, fragment, step := e.fresh(), e.fresh(), e.fresh()
	e.add(
		asm.JGE.Imm(steps, MaxExtensions, labelAsk), asm.Add.Imm(steps, 1),
		asm.Mov.Reg(asm.R1, transport), asm.Add.Imm(asm.R1, extensionUnit), loadSlot(asm.R2, lengthSlot),
		asm.JGT.Reg(asm.R1, asm.R2, labelKnown), asm.Mov.Reg(asm.R2, transport),
	)
	e.add(loadBytes(wordArea, extensionUnit)...)
	e.add(
		asm.LoadMem(asm.R1, asm.RFP, wordArea+1, asm.Byte), loadSlot(protocolR, protocolSlot),
		asm.JEq.Imm(protocolR, wire.ProtoFragment, fragment), asm.JEq.Imm(protocolR, wire.ProtoAH, ah),
		asm.Add.Imm(asm.R1, 1), asm.LSh.Imm(asm.R1, 3), asm.Ja.Label(step),
	)
	e.here(ah)
	e.add(asm.Add.Imm(asm.R1, 2), asm.LSh.Imm(asm.R1, 2))
	e.here(step)
	e.add(
		asm.Add.Reg(asm.R1, transport), loadSlot(asm.R2, lengthSlot), asm.JGT.Reg(asm.R1, asm.R2, labelKnown),
		asm.Mov.Reg(transport, asm.R1), asm.LoadMem(protocolR, asm.RFP, wordArea, asm.Byte), asm.Ja.Label(labelNext),
	)
	e.here(fragment)
	e.fragment()
}

// fragment steps over a Fragment header, or ends there, if the packet is to be reassembled.
func (e *emitter) fragment() {
	if e.hook.Reassemble {
		e.jump(e.g.entry[v6Pending])
		return
	}
	e.add(
		loadSlot(asm.R1, fragmentSlot), asm.JSet.Imm(asm.R1, fragmentYes, labelKnown),
		asm.StoreImm(asm.RFP, fragmentSlot, fragmentYes, asm.Word),
		asm.LoadMem(protocolR, asm.RFP, wordArea, asm.Byte), asm.Add.Imm(transport, wire.FragmentLen),
	)
	e.add(loadBig(asm.R1, wordArea+2, 2)...)
	e.add(asm.And.Imm32(asm.R1, 0xfff8), asm.JEq.Imm32(asm.R1, 0, labelNext))
	e.add(storeSlot(protocolSlot, protocolR))
	e.jump(e.g.entry[v6None])
}

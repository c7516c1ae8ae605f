package judged

import (
	"github.com/cilium/ebpf/asm"

	"github.com/weirnet/weir/divertdrv/wire"
)

// The stack of the program, as offsets from its top. The five words are those of a flow's key in the packet's direction; the key
// is the same in the flow's order, as wire.FlowKey has it.
const (
	srcHi = -40
	srcLo = -32
	dstHi = -24
	dstLo = -16
	rest  = -8

	keyLowHi = -80
	keyRest  = -48

	ipArea  = -120 // 40 bytes
	tcpArea = -144 // 20 bytes
	tcpEnds = tcpArea + 13
	index   = -152
)

// endFlags are of a TCP packet that begins or ends a connection.
const endFlags = uint8(wire.SYN | wire.FIN | wire.RST)

// Program ends the program of a hook for what the filter matched: it returns 0 for a packet that may go on unseen, or counts it as
// diverted and returns 1. It expects the context in R1 and R6. Its labels begin with "Judged".
//
// R7 is the hash and then the place, R8 protocol and version as the key has them, R9 the offset of the transport header and then
// the place of the addresses.
func (t *Table) Program() asm.Instructions {
	var ins asm.Instructions
	for _, part := range []asm.Instructions{
		t.addresses(), t.addressHash(), transport(), ports(), order(), t.decide(), t.count(),
	} {
		ins = append(ins, part...)
	}
	return ins
}

// bytes copies size bytes of the packet at the offset in R2 to the stack; R0 is 0 if they are there, and the stack is set anyway.
func bytes(to, size int32) asm.Instructions {
	return asm.Instructions{
		asm.Mov.Reg(asm.R1, asm.R6), asm.Mov.Reg(asm.R3, asm.RFP), asm.Add.Imm(asm.R3, to), asm.Mov.Imm(asm.R4, size),
		asm.FnSkbLoadBytes.Call(),
	}
}

// addresses finds both, and R8 and R9; R8 is 0 where the transport header is not behind the IP header. That the IP header is there
// the filter has seen.
func (t *Table) addresses() asm.Instructions {
	ins := append(asm.Instructions{asm.Mov.Imm(asm.R2, 0)}, bytes(ipArea, wire.IPv4HeaderLen)...)
	ins = append(ins,
		asm.LoadMem(asm.R1, asm.RFP, ipArea, asm.Byte), asm.Mov.Reg(asm.R2, asm.R1), asm.RSh.Imm(asm.R2, 4),
		asm.JEq.Imm(asm.R2, 6, "JudgedIPv6"),
		asm.And.Imm(asm.R1, 0xf), asm.LSh.Imm(asm.R1, 2), asm.Mov.Reg(asm.R9, asm.R1),
		asm.Mov.Imm(asm.R0, 0), asm.StoreMem(asm.RFP, srcHi, asm.R0, asm.DWord), asm.StoreMem(asm.RFP, dstHi, asm.R0, asm.DWord),
		asm.LoadImm(asm.R2, 0xffff<<32, asm.DWord),
	)
	for i, to := range []int16{srcLo, dstLo} {
		ins = append(ins, asm.LoadMem(asm.R1, asm.RFP, ipArea+12+4*int16(i), asm.Word), asm.HostTo(asm.BE, asm.R1, asm.Word),
			asm.Or.Reg(asm.R1, asm.R2), asm.StoreMem(asm.RFP, to, asm.R1, asm.DWord))
	}
	ins = append(ins,
		asm.LoadMem(asm.R8, asm.RFP, ipArea+9, asm.Byte), asm.LSh.Imm(asm.R8, 8), asm.Or.Imm(asm.R8, 4),
		asm.LoadMem(asm.R1, asm.RFP, ipArea+6, asm.Half), asm.HostTo(asm.BE, asm.R1, asm.Half), asm.And.Imm(asm.R1, 0x3fff),
		asm.JEq.Imm(asm.R1, 0, "JudgedAddressed"),
		asm.Mov.Imm(asm.R8, 0),
		asm.Ja.Label("JudgedAddressed"),
		asm.Mov.Imm(asm.R2, wire.IPv4HeaderLen).WithSymbol("JudgedIPv6"),
	)
	ins = append(ins, bytes(ipArea+wire.IPv4HeaderLen, wire.IPv6HeaderLen-wire.IPv4HeaderLen)...)
	for i, to := range []int16{srcHi, srcLo, dstHi, dstLo} {
		ins = append(ins, asm.LoadMem(asm.R1, asm.RFP, ipArea+8+8*int16(i), asm.DWord), asm.HostTo(asm.BE, asm.R1, asm.DWord),
			asm.StoreMem(asm.RFP, to, asm.R1, asm.DWord))
	}
	return append(ins,
		asm.LoadMem(asm.R8, asm.RFP, ipArea+6, asm.Byte), asm.LSh.Imm(asm.R8, 8), asm.Or.Imm(asm.R8, 6),
		asm.Mov.Imm(asm.R9, wire.IPv6HeaderLen),
	)
}

// mix is mixed, of R7 and the word in R1.
func mix() asm.Instructions {
	return asm.Instructions{
		asm.Xor.Reg(asm.R7, asm.R1), asm.LoadImm(asm.R2, mixerBits, asm.DWord), asm.Mul.Reg(asm.R7, asm.R2),
		asm.Mov.Reg(asm.R2, asm.R7), asm.RSh.Imm(asm.R2, 32), asm.Xor.Reg(asm.R7, asm.R2),
	}
}

const mixerBits = mixer - 1<<64 // the same bits, as a signed number

func (t *Table) addressHash() asm.Instructions {
	ins := asm.Instructions{asm.LoadImm(asm.R7, int64(t.seed), asm.DWord).WithSymbol("JudgedAddressed")}
	for _, word := range []int16{srcHi, srcLo, dstHi, dstLo} {
		ins = append(append(ins, asm.LoadMem(asm.R1, asm.RFP, word, asm.DWord)), mix()...)
	}
	return ins
}

// transport copies the header, or goes to JudgedOdd.
func transport() asm.Instructions {
	ins := asm.Instructions{
		asm.Mov.Reg(asm.R1, asm.R8), asm.RSh.Imm(asm.R1, 8), asm.Mov.Reg(asm.R2, asm.R9),
		asm.JEq.Imm(asm.R1, wire.ProtoTCP, "JudgedTCP"), asm.JNE.Imm(asm.R1, wire.ProtoUDP, "JudgedOdd"),
	}
	ins = append(ins, bytes(tcpArea, wire.UDPHeaderLen)...)
	ins = append(ins,
		asm.Mov.Imm(asm.R1, 0), asm.StoreMem(asm.RFP, tcpEnds, asm.R1, asm.Byte), // UDP has no end
		asm.Ja.Label("JudgedTransport"),
		asm.Mov.Reg(asm.R1, asm.R6).WithSymbol("JudgedTCP"),
	)
	ins = append(ins, bytes(tcpArea, wire.TCPHeaderLen)...)
	return append(ins, asm.JNE.Imm(asm.R0, 0, "JudgedOdd").WithSymbol("JudgedTransport"))
}

// ports makes the fifth word and the two places.
func ports() asm.Instructions {
	const mask = Places - 1
	ins := asm.Instructions{
		asm.LoadMem(asm.R1, asm.RFP, tcpArea, asm.Word), asm.HostTo(asm.BE, asm.R1, asm.Word), asm.LSh.Imm(asm.R1, 32),
		asm.Or.Reg(asm.R1, asm.R8), asm.StoreMem(asm.RFP, rest, asm.R1, asm.DWord),
		asm.Mov.Reg(asm.R9, asm.R7), asm.And.Imm(asm.R9, mask),
	}
	return append(append(ins, mix()...), asm.And.Imm(asm.R7, mask))
}

// order writes the key: the smaller endpoint first.
func order() asm.Instructions {
	var ins asm.Instructions
	compare := func(src, dst asm.Instructions) {
		ins = append(append(ins, src...), dst...)
		ins = append(ins, asm.JLT.Reg(asm.R2, asm.R1, "JudgedSwap"), asm.JGT.Reg(asm.R2, asm.R1, "JudgedStraight"))
	}
	load := func(r asm.Register, word int16) asm.Instructions {
		return asm.Instructions{asm.LoadMem(r, asm.RFP, word, asm.DWord)}
	}
	compare(load(asm.R1, srcHi), load(asm.R2, dstHi))
	compare(load(asm.R1, srcLo), load(asm.R2, dstLo))
	sport := append(load(asm.R1, rest), asm.RSh.Imm(asm.R1, 48))
	dport := append(load(asm.R2, rest), asm.LSh.Imm(asm.R2, 16), asm.RSh.Imm(asm.R2, 48))
	compare(sport, dport)
	write := func(words ...int16) {
		for i, w := range words {
			ins = append(append(ins, load(asm.R1, w)...), asm.StoreMem(asm.RFP, keyLowHi+8*int16(i), asm.R1, asm.DWord))
		}
	}
	straight := len(ins)
	write(srcHi, srcLo, dstHi, dstLo, rest)
	ins[straight] = ins[straight].WithSymbol("JudgedStraight")
	ins = append(ins, asm.Ja.Label("JudgedKeyed"))
	swap := len(ins)
	write(dstHi, dstLo, srcHi, srcLo)
	ins[swap] = ins[swap].WithSymbol("JudgedSwap")
	ins = append(ins, sport...)
	ins = append(ins, dport...)
	return append(ins,
		asm.LSh.Imm(asm.R1, 32), asm.LSh.Imm(asm.R2, 48), asm.Or.Reg(asm.R1, asm.R2), asm.Or.Reg(asm.R1, asm.R8),
		asm.StoreMem(asm.RFP, keyRest, asm.R1, asm.DWord))
}

// decide lets the packet by if its flow is judged and nothing is under way at either place.
func (t *Table) decide() asm.Instructions {
	flow := asm.Instructions{
		asm.LoadMapPtr(asm.R1, t.flows.FD()).WithSymbol("JudgedKeyed"),
		asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, keyLowHi),
	}
	ins := append(flow, asm.FnMapLookupElem.Call(), asm.JEq.Imm(asm.R0, 0, "JudgedCount"),
		asm.LoadMem(asm.R1, asm.RFP, tcpEnds, asm.Byte), asm.And.Imm(asm.R1, int32(endFlags)), asm.JEq.Imm(asm.R1, 0, "JudgedGoesOn"),
		asm.LoadMapPtr(asm.R1, t.flows.FD()), asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, keyLowHi),
		asm.FnMapDeleteElem.Call(),
		asm.Ja.Label("JudgedCount"),

		asm.LoadMapValue(asm.R2, t.shared.FD(), 0).WithSymbol("JudgedGoesOn"),
		asm.LoadMem(asm.R1, asm.R0, entryEra, asm.DWord), asm.LoadMem(asm.R3, asm.R2, controlEra, asm.DWord),
		asm.JNE.Reg(asm.R1, asm.R3, "JudgedCount"),
		asm.LoadMem(asm.R3, asm.R2, controlSweep, asm.DWord), asm.StoreMem(asm.R0, entrySweep, asm.R3, asm.DWord),
	)
	for _, place := range []asm.Register{asm.R9, asm.R7} {
		ins = append(ins,
			asm.Mov.Reg(asm.R1, place), asm.LSh.Imm(asm.R1, 3), asm.Mov.Reg(asm.R4, asm.R2), asm.Add.Reg(asm.R4, asm.R1),
			asm.LoadMem(asm.R1, asm.R4, controlLen, asm.DWord), // both counts at once
			asm.Mov.Reg(asm.R3, asm.R1), asm.RSh.Imm(asm.R3, 32), asm.LSh.Imm(asm.R1, 32), asm.RSh.Imm(asm.R1, 32),
			asm.JNE.Reg(asm.R1, asm.R3, "JudgedCount"),
		)
	}
	return append(ins,
		asm.Mov.Imm(asm.R1, 0), asm.StoreMem(asm.RFP, index, asm.R1, asm.DWord),
		asm.LoadMapPtr(asm.R1, t.passed.FD()), asm.Mov.Reg(asm.R2, asm.RFP), asm.Add.Imm(asm.R2, index),
		asm.FnMapLookupElem.Call(), asm.JEq.Imm(asm.R0, 0, "JudgedCount"),
		asm.Mov.Imm(asm.R1, 1), asm.StoreXAdd(asm.R0, asm.R1, asm.DWord),
		asm.Mov.Imm(asm.R0, 0), asm.Return(),
	)
}

// count counts the packet at the place in R7 and diverts it.
func (t *Table) count() asm.Instructions {
	return asm.Instructions{
		asm.And.Imm(asm.R7, Places-1).WithSymbol("JudgedOdd"),
		asm.LSh.Imm(asm.R7, 3).WithSymbol("JudgedCount"),
		asm.LoadMapValue(asm.R2, t.shared.FD(), 0),
		asm.Add.Reg(asm.R2, asm.R7),
		asm.Mov.Imm(asm.R1, 1), asm.AddAtomic.Mem(asm.R2, asm.R1, asm.Word, controlLen),
		asm.Mov.Imm(asm.R0, 1), asm.Return(),
	}
}

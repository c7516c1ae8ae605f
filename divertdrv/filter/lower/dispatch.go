package lower

import (
	"github.com/cilium/ebpf/asm"

	"github.com/weirnet/weir/divertdrv/wire"
)

// dispatch goes on at the world of the transport header, if it is there as a whole, and else at that without. Transports
// that make no difference are not looked for.
func (e *emitter) dispatch(v version) {
	none := e.g.entry[v.none]
	labels := map[int]string{}
	for _, w := range v.worlds {
		n := e.needs[w]
		if worlds[w].transport == wire.NoTransport || e.g.entry[w] == none && !n.transport && !n.payload {
			continue
		}
		labels[w] = e.fresh()
		e.add(asm.JEq.Imm(protocolR, protocols[worlds[w].transport], labels[w]))
	}
	e.jump(none)
	for _, w := range v.worlds {
		if label, ok := labels[w]; ok {
			e.here(label)
			e.transport(w, none)
		}
	}
}

// transport copies the transport header and goes on at the world's entry, or at none if the header is not there as a whole.
func (e *emitter) transport(w int, none edge) {
	size := int32(wire.UDPHeaderLen) // and ICMP's
	if worlds[w].transport == wire.TCP {
		size = wire.TCPHeaderLen
	}
	e.add(asm.Mov.Reg(asm.R1, transport), asm.Add.Imm(asm.R1, size), asm.JGT.Reg(asm.R1, length, none.label()))
	if size == wire.TCPHeaderLen || e.needs[w].transport {
		e.add(asm.Mov.Reg(asm.R2, transport))
		e.add(loadBytes(transportArea, size)...)
	}
	switch {
	case size == wire.TCPHeaderLen:
		e.tcpLength(none, e.needs[w].payload)
	case e.needs[w].payload:
		e.add(asm.Mov.Reg(asm.R1, transport), asm.Add.Imm(asm.R1, size))
	}
	if e.needs[w].payload {
		e.add(storeSlot(payloadSlot, asm.R1))
	}
	e.jump(e.g.entry[w])
}

// tcpLength refuses a header that says that it is shorter than 20 bytes, and brings the offset of the payload to R1: the
// packet's end, if options end behind it.
func (e *emitter) tcpLength(none edge, payload bool) {
	e.add(
		asm.LoadMem(asm.R1, asm.RFP, transportArea+12, asm.Byte), asm.RSh.Imm(asm.R1, 4),
		asm.JLT.Imm(asm.R1, wire.TCPHeaderLen/4, none.label()),
	)
	if !payload {
		return
	}
	within := e.fresh()
	e.add(
		asm.LSh.Imm(asm.R1, 2), asm.Add.Reg(asm.R1, transport), asm.JLE.Reg(asm.R1, length, within), asm.Mov.Reg(asm.R1, length),
	)
	e.here(within)
}

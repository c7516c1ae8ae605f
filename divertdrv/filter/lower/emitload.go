package lower

import (
	"github.com/cilium/ebpf/asm"
)

// load writes what brings the value of a narrow node to R0, or goes on at its edge none.
func (e *emitter) load(n *node) {
	l := &n.load
	switch l.from {
	case fromIP:
		e.add(loadBig(asm.R0, ipArea+int16(l.off), l.size)...)
	case fromTransport:
		e.add(loadBig(asm.R0, transportArea+int16(l.off), l.size)...)
	case fromLength:
		e.add(loadSlot(asm.R0, lengthSlot))
	case fromProtocol:
		e.add(loadSlot(asm.R0, protocolSlot))
	case fromFragment:
		e.add(loadSlot(asm.R0, fragmentSlot))
	case fromImpostor:
		e.add(loadSlot(asm.R0, impostorSlot))
	case fromIfIdx:
		e.add(loadContext(asm.R0, skbIfIndex))
	case fromPayloadLen:
		e.add(loadSlot(asm.R0, lengthSlot), loadSlot(asm.R1, payloadSlot), asm.Sub.Reg32(asm.R0, asm.R1))
	case fromPacket, fromPayload:
		e.word(n)
	}
}

// word loads a word of the packet or payload.
func (e *emitter) word(n *node) {
	l, none := &n.load, n.none.label()
	size := int32(l.size)
	switch {
	case l.off < 0 && l.from == fromPacket:
		e.add(loadSlot(asm.R2, lengthSlot), asm.Add.Imm(asm.R2, l.off), asm.JSLT.Imm(asm.R2, 0, none))
	case l.off < 0:
		e.add(loadSlot(asm.R2, lengthSlot), asm.Add.Imm(asm.R2, l.off), loadSlot(asm.R1, payloadSlot),
			asm.JSLT.Reg(asm.R2, asm.R1, none))
	case l.from == fromPacket:
		e.add(loadSlot(asm.R0, lengthSlot), asm.JLT.Imm(asm.R0, l.off+size, none), asm.Mov.Imm(asm.R2, l.off))
	default:
		e.add(loadSlot(asm.R2, payloadSlot), asm.Add.Imm(asm.R2, l.off+size), loadSlot(asm.R1, lengthSlot),
			asm.JGT.Reg(asm.R2, asm.R1, none), asm.Sub.Imm(asm.R2, size))
	}
	e.add(loadBytes(wordArea, size)...)
	e.add(loadBig(asm.R0, wordArea, l.size)...)
}

// needs says what the nodes behind an edge find in the stack.
type needs struct{ addresses, transport, length, payload, protocol, fragment, impostor bool }

func (a needs) or(b needs) needs {
	return needs{
		a.addresses || b.addresses, a.transport || b.transport, a.length || b.length, a.payload || b.payload,
		a.protocol || b.protocol, a.fragment || b.fragment, a.impostor || b.impostor,
	}
}

// needs gathers them. Edges lead to smaller numbers, so one pass finds all nodes that can be reached.
func (g *graph) needs(entry edge) (all needs) {
	if entry < 0 {
		return all
	}
	reached := make([]bool, entry+1)
	reached[entry] = true
	for e := entry; e >= 0; e-- {
		if !reached[e] {
			continue
		}
		all = all.or(g.nodes[e].load.needs())
		for to := range g.nodes[e].targets {
			reached[to] = true
		}
	}
	return all
}

func (l *load) needs() needs {
	const fixed = 20 // of the IP header is always loaded
	payload := l.from == fromPayload || l.from == fromPayloadLen
	return needs{
		addresses: l.from == fromIP && l.off+int32(l.size) > fixed,
		transport: l.from == fromTransport,
		length:    l.from == fromLength || l.from == fromPacket || payload,
		payload:   payload,
		protocol:  l.from == fromProtocol,
		fragment:  l.from == fromFragment,
		impostor:  l.from == fromImpostor,
	}
}

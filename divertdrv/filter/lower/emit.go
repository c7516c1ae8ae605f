package lower

import (
	"slices"
	"strconv"

	"github.com/cilium/ebpf/asm"
)

// Labels of the ends of a filter.
const (
	labelMatch   = "match"
	labelNoMatch = "nomatch"
	labelAsk     = "ask"
)

func (e edge) label() string {
	switch e {
	case accept:
		return labelMatch
	case reject:
		return labelNoMatch
	case ask:
		return labelAsk
	}
	return "n" + strconv.Itoa(int(e))
}

// emitter writes the instructions of a graph.
type emitter struct {
	assembler
	g     *graph
	hook  *Hook
	needs [numWorlds]needs
}

func emit(g *graph, hook *Hook) asm.Instructions {
	e := &emitter{g: g, hook: hook, assembler: assembler{alias: map[string]string{}}}
	order := e.order()
	if !slices.ContainsFunc(g.entry[:], func(n edge) bool { return n != reject }) {
		e.jump(reject)
		return e.finish()
	}
	e.parse()
	for _, n := range order {
		e.node(n)
	}
	return e.finish()
}

// order returns the nodes that can be reached, each before those that it leads to, and gathers what they need.
func (e *emitter) order() []edge {
	seen := make([]bool, len(e.g.nodes))
	var order []edge // in reverse
	var visit func(n edge)
	visit = func(n edge) {
		if n < 0 || seen[n] {
			return
		}
		seen[n] = true
		for to := range e.g.nodes[n].targets {
			visit(to)
		}
		order = append(order, n)
	}
	for _, n := range e.g.entry {
		visit(n)
	}
	slices.Reverse(order)
	for w, n := range e.g.entry {
		e.needs[w] = e.g.needs(n)
	}
	return order
}

// node writes one node: its value goes to R0, a wide one to R0 and R1.
func (e *emitter) node(n edge) {
	nd := &e.g.nodes[n]
	e.here(n.label())
	if nd.load.size == wideSize {
		e.add(
			asm.LoadMem(asm.R0, asm.RFP, ipArea+int16(nd.load.off), asm.DWord), asm.HostTo(asm.BE, asm.R0, asm.DWord),
			asm.LoadMem(asm.R1, asm.RFP, ipArea+int16(nd.load.off)+8, asm.DWord), asm.HostTo(asm.BE, asm.R1, asm.DWord),
		)
		e.wide(nd.pieces)
		return
	}
	e.load(nd)
	if len(nd.pieces) == 2 && nd.pieces[0].upper == (value{}) { // whether it is 0
		e.add(asm.JSet.Imm32(asm.R0, int32(nd.load.mask<<nd.load.shift), nd.pieces[1].to.label()))
		e.jump(nd.pieces[0].to)
		return
	}
	if bits := nd.load.mask << nd.load.shift; bits != full(nd.load.size) {
		e.add(asm.And.Imm32(asm.R0, int32(bits)))
	}
	if nd.load.shift != 0 {
		e.add(asm.RSh.Imm32(asm.R0, int32(nd.load.shift)))
	}
	e.narrow(nd.pieces, 0)
}

// full is the mask of a whole word.
func full(size uint8) uint32 { return uint32(1<<(8*uint(size)) - 1) }

func (e *emitter) jump(to edge) { e.add(asm.Ja.Label(to.label())) }

// narrow searches the pieces of which R0 is in one; from is the least value of the first.
func (e *emitter) narrow(d []piece, from uint32) {
	upper := func(i int) uint32 { return uint32(d[i].upper.lo) }
	switch {
	case len(d) == 1:
		e.jump(d[0].to)
	case len(d) == 2 && upper(0) == from:
		e.add(asm.JEq.Imm32(asm.R0, int32(from), d[0].to.label()))
		e.jump(d[1].to)
	case len(d) == 2:
		e.add(asm.JGT.Imm32(asm.R0, int32(upper(0)), d[1].to.label()))
		e.jump(d[0].to)
	case len(d) == 3 && d[0].to == d[2].to && upper(0)+1 == upper(1):
		e.add(asm.JEq.Imm32(asm.R0, int32(upper(1)), d[1].to.label()))
		e.jump(d[0].to)
	case len(d) == 3 && d[0].to == d[2].to:
		e.add(asm.Sub.Imm32(asm.R0, int32(upper(0)+1)), asm.JLE.Imm32(asm.R0, int32(upper(1)-upper(0)-1), d[1].to.label()))
		e.jump(d[0].to)
	default:
		half := len(d) / 2
		behind := e.part(d[half:])
		e.add(asm.JGT.Imm32(asm.R0, int32(upper(half-1)), behind))
		e.narrow(d[:half], from)
		if len(d[half:]) > 1 {
			e.here(behind)
			e.narrow(d[half:], upper(half-1)+1)
		}
	}
}

// part returns the label of a part of the pieces: a new one, unless all of them lead to one edge.
func (e *emitter) part(d []piece) string {
	if len(d) == 1 {
		return d[0].to.label()
	}
	return e.fresh()
}

// wide searches the pieces of which R0 and R1 are in one.
func (e *emitter) wide(d []piece) {
	switch {
	case len(d) == 1:
		e.jump(d[0].to)
	case len(d) == 3 && d[0].to == d[2].to && d[0].upper.next() == d[1].upper:
		e.add(
			asm.LoadImm(asm.R2, int64(d[1].upper.hi), asm.DWord), asm.JNE.Reg(asm.R0, asm.R2, d[0].to.label()),
			asm.LoadImm(asm.R2, int64(d[1].upper.lo), asm.DWord), asm.JEq.Reg(asm.R1, asm.R2, d[1].to.label()),
		)
		e.jump(d[0].to)
	default:
		half := len(d) / 2
		last, behind, within := d[half-1].upper, e.part(d[half:]), e.part(d[:half])
		e.add(
			asm.LoadImm(asm.R2, int64(last.hi), asm.DWord), asm.JGT.Reg(asm.R0, asm.R2, behind), asm.JLT.Reg(asm.R0, asm.R2, within),
			asm.LoadImm(asm.R2, int64(last.lo), asm.DWord), asm.JGT.Reg(asm.R1, asm.R2, behind),
		)
		if half > 1 {
			e.here(within)
		}
		e.wide(d[:half])
		if len(d[half:]) > 1 {
			e.here(behind)
			e.wide(d[half:])
		}
	}
}

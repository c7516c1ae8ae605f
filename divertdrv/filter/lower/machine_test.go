package lower_test

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"testing"

	"github.com/cilium/ebpf/asm"
)

// machine runs instructions as the kernel does, as far as programs of this package use them, so that they can be tried where
// nobody may load any. It is stricter: what was not written cannot be read, and nothing runs for long.
type machine struct {
	ins     asm.Instructions
	at      map[string]int
	reg     [11]uint64
	written [11]bool
	stack   [512]byte
	set     [512]bool
	ctx     []byte
	pkt     []byte
}

// What pointers are: the top of the stack and the context.
const (
	stackTop   = 1 << 40
	contextTop = 1 << 41
)

func newMachine(t testing.TB, ins asm.Instructions) *machine {
	t.Helper()
	at, err := ins.SymbolOffsets()
	if err != nil {
		t.Fatal(err)
	}
	return &machine{ins: ins, at: at}
}

// run runs the program on a packet and returns its result.
func (m *machine) run(pkt, ctx []byte) (result uint64, err error) {
	m.written, m.set = [11]bool{asm.R1: true, asm.RFP: true}, [512]bool{}
	m.reg = [11]uint64{asm.R1: contextTop, asm.RFP: stackTop}
	m.pkt, m.ctx = pkt, append([]byte(nil), ctx...)
	binary.LittleEndian.PutUint32(m.ctx, uint32(len(pkt)))
	pc := 0
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("at %d, %v: %v", pc, m.ins[pc], r)
		}
	}()
	for range 100_000 {
		in := m.ins[pc]
		pc++
		switch class := in.OpCode.Class(); {
		case class.IsALU():
			m.alu(in)
		case class.IsLoad() || class.IsStore():
			m.memory(in)
		case in.OpCode.JumpOp() == asm.Exit:
			return m.get(asm.R0), nil
		case in.OpCode.JumpOp() == asm.Call:
			m.loadBytes(in)
		case m.jumps(in):
			to, ok := m.at[in.Reference()]
			if !ok {
				panic("no such label")
			}
			pc = to
		}
	}
	return 0, fmt.Errorf("it does not end")
}

func (m *machine) get(r asm.Register) uint64 {
	if !m.written[r] {
		panic(fmt.Sprint("reads ", r))
	}
	return m.reg[r]
}

func (m *machine) put(r asm.Register, v uint64) {
	if r == asm.RFP {
		panic("writes the frame pointer")
	}
	m.reg[r], m.written[r] = v, true
}

// operand is the second one.
func (m *machine) operand(in asm.Instruction) uint64 {
	if in.OpCode.Source() == asm.RegSource {
		return m.get(in.Src)
	}
	return uint64(in.Constant)
}

func (m *machine) alu(in asm.Instruction) {
	op := in.OpCode.ALUOp()
	if op == asm.Swap {
		m.put(in.Dst, map[int64]uint64{
			16: uint64(bits.ReverseBytes16(uint16(m.get(in.Dst)))),
			32: uint64(bits.ReverseBytes32(uint32(m.get(in.Dst)))),
			64: bits.ReverseBytes64(m.get(in.Dst)),
		}[in.Constant])
		return
	}
	b := m.operand(in)
	if op == asm.Mov {
		m.put(in.Dst, b)
		return
	}
	a := m.get(in.Dst)
	switch op {
	case asm.Add:
		a += b
	case asm.Sub:
		a -= b
	case asm.And:
		a &= b
	case asm.LSh:
		a <<= b
	case asm.RSh:
		if in.OpCode.Class() == asm.ALUClass {
			a = uint64(uint32(a))
		}
		a >>= b
	default:
		panic("not known")
	}
	if in.OpCode.Class() == asm.ALUClass {
		a = uint64(uint32(a))
	}
	m.put(in.Dst, a)
}

// bytes returns memory at an address: of the context, or of the stack, where it must be aligned.
func (m *machine) bytes(addr uint64, size int, write bool) []byte {
	if addr >= contextTop {
		return m.ctx[addr-contextTop:][:size]
	}
	at := int(addr) - stackTop + len(m.stack)
	if at%size != 0 {
		panic("not aligned")
	}
	for i := at; i < at+size; i++ {
		if m.set[i] = m.set[i] || write; !m.set[i] {
			panic("reads what nobody wrote")
		}
	}
	return m.stack[at : at+size]
}

func (m *machine) memory(in asm.Instruction) {
	size := in.OpCode.Size().Sizeof()
	switch in.OpCode.Class() {
	case asm.LdClass:
		m.put(in.Dst, uint64(in.Constant))
		return
	case asm.LdXClass:
		var v uint64
		for i, b := range m.bytes(m.get(in.Src)+uint64(int64(in.Offset)), size, false) {
			v |= uint64(b) << (8 * i)
		}
		m.put(in.Dst, v)
		return
	}
	v := uint64(in.Constant)
	if in.OpCode.Class() == asm.StXClass {
		v = m.get(in.Src)
	}
	to := m.bytes(m.get(in.Dst)+uint64(int64(in.Offset)), size, true)
	for i := range to {
		to[i] = byte(v >> (8 * i))
	}
}

// loadBytes is the helper bpf_skb_load_bytes.
func (m *machine) loadBytes(in asm.Instruction) {
	if in.Constant != int64(asm.FnSkbLoadBytes) || m.get(asm.R1) != contextTop {
		panic("calls what it should not")
	}
	from, size := int(m.get(asm.R2)), int(m.get(asm.R4))
	at := int(m.get(asm.R3)) - stackTop + len(m.stack)
	copy(m.stack[at:at+size], m.pkt[from:from+size]) // the programs ask for what is there
	for i := at; i < at+size; i++ {
		m.set[i] = true
	}
	m.put(asm.R0, 0)
	for r := asm.R1; r <= asm.R5; r++ {
		m.written[r] = false
	}
}

func (m *machine) jumps(in asm.Instruction) bool {
	op := in.OpCode.JumpOp()
	if op == asm.Ja {
		return true
	}
	a, b := m.get(in.Dst), m.operand(in)
	if in.OpCode.Class() == asm.Jump32Class {
		a, b = uint64(uint32(a)), uint64(uint32(b))
	}
	switch op {
	case asm.JEq:
		return a == b
	case asm.JNE:
		return a != b
	case asm.JGT:
		return a > b
	case asm.JGE:
		return a >= b
	case asm.JLT:
		return a < b
	case asm.JLE:
		return a <= b
	case asm.JSet:
		return a&b != 0
	case asm.JSLT:
		return int64(a) < int64(b)
	}
	panic("not known")
}

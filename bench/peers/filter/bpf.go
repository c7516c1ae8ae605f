package filter

import (
	"fmt"

	"github.com/weirnet/weir/bench/workload"

	"golang.org/x/net/bpf"
)

// What BPF sees: two bytes of what is known of a packet, two of padding, and the packet from its IP header.
const (
	outboundAt = 0
	loopbackAt = 1
	ipAt       = 4
)

// assembler collects instructions whose jumps name labels.
type assembler struct {
	out    []bpf.Instruction
	jumps  map[int][2]string // by instruction: where it goes if so, and if not; "" is the next one
	labels map[string]int
}

func (a *assembler) emit(i ...bpf.Instruction) { a.out = append(a.out, i...) }

func (a *assembler) label(name string) { a.labels[name] = len(a.out) }

func (a *assembler) jump(cond bpf.JumpTest, val uint32, yes, no string) {
	a.jumps[len(a.out)] = [2]string{yes, no}
	a.emit(bpf.JumpIf{Cond: cond, Val: val})
}

// vm puts the distances into the jumps and builds the machine.
func (a *assembler) vm() (*bpf.VM, error) {
	for at, to := range a.jumps {
		j := a.out[at].(bpf.JumpIf)
		for side, name := range to {
			skip := 0
			if name != "" {
				target, known := a.labels[name]
				if skip = target - at - 1; !known || skip < 0 || skip > 255 {
					return nil, fmt.Errorf("bpf: no way from %d to label %s", at, name)
				}
			}
			if side == 0 {
				j.SkipTrue = uint8(skip)
			} else {
				j.SkipFalse = uint8(skip)
			}
		}
		a.out[at] = j
	}
	return bpf.NewVM(a.out)
}

func bpfVM(n Name) (Matcher, error) {
	a := &assembler{jumps: map[int][2]string{}, labels: map[string]int{}}
	switch n {
	case Short:
		a.dstPort(func() {})
	case Medium:
		a.emit(bpf.LoadAbsolute{Off: outboundAt, Size: 1})
		a.jump(bpf.JumpEqual, 1, "", "no")
		a.dstPort(a.payloadOutside)
	default:
		a.ranges()
	}
	a.label("yes")
	a.emit(bpf.RetConstant{Val: 1})
	a.label("no")
	a.emit(bpf.RetConstant{Val: 0})
	vm, err := a.vm()
	if err != nil {
		return nil, err
	}
	return func(t *Traffic, hits []bool) {
		for i := range hits {
			n, err := vm.Run(t.Raw[i])
			hits[i] = err == nil && n != 0
		}
	}, nil
}

// dstPort goes on for TCP to the port, as a compiler for tcpdump's language does: IPv4 but later fragments, and IPv6 without
// extension headers. rest finds the TCP header's offset in X, and in scratch word 0 the length of all behind the IP headers.
func (a *assembler) dstPort(rest func()) {
	a.emit(bpf.LoadAbsolute{Off: ipAt, Size: 1}, bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 4})
	a.jump(bpf.JumpEqual, 6, "", "v4")
	a.emit(bpf.LoadAbsolute{Off: ipAt + 6, Size: 1})
	a.jump(bpf.JumpEqual, 6, "", "no")
	a.emit(bpf.LoadAbsolute{Off: ipAt + 4, Size: 2}, bpf.StoreScratch{Src: bpf.RegA, N: 0}, bpf.LoadConstant{Dst: bpf.RegX, Val: 40})
	a.emit(bpf.LoadIndirect{Off: ipAt + 2, Size: 2})
	a.jump(bpf.JumpEqual, port, "port", "no")
	a.label("v4")
	a.jump(bpf.JumpEqual, 4, "", "no")
	a.emit(bpf.LoadAbsolute{Off: ipAt + 9, Size: 1})
	a.jump(bpf.JumpEqual, 6, "", "no")
	a.emit(bpf.LoadAbsolute{Off: ipAt + 6, Size: 2})
	a.jump(bpf.JumpBitsSet, 0x1fff, "no", "")
	a.emit(bpf.LoadMemShift{Off: ipAt}, bpf.LoadAbsolute{Off: ipAt + 2, Size: 2}, bpf.ALUOpX{Op: bpf.ALUOpSub}, bpf.StoreScratch{Src: bpf.RegA, N: 0})
	a.emit(bpf.LoadIndirect{Off: ipAt + 2, Size: 2})
	a.jump(bpf.JumpEqual, port, "", "no")
	a.label("port")
	rest()
}

// payloadOutside is the rest of Medium: bytes behind the TCP header, and not loopback.
func (a *assembler) payloadOutside() {
	a.emit(bpf.LoadIndirect{Off: ipAt + 12, Size: 1})
	a.emit(bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 4}, bpf.ALUOpConstant{Op: bpf.ALUOpShiftLeft, Val: 2}, bpf.TAX{})
	a.emit(bpf.LoadScratch{Dst: bpf.RegA, N: 0}, bpf.ALUOpX{Op: bpf.ALUOpSub})
	a.jump(bpf.JumpGreaterThan, 0, "", "no")
	a.emit(bpf.LoadAbsolute{Off: loopbackAt, Size: 1})
	a.jump(bpf.JumpEqual, 0, "yes", "no")
}

func (a *assembler) ranges() {
	a.emit(bpf.LoadAbsolute{Off: ipAt, Size: 1}, bpf.ALUOpConstant{Op: bpf.ALUOpShiftRight, Val: 4})
	a.jump(bpf.JumpEqual, 4, "", "no")
	a.emit(bpf.LoadAbsolute{Off: ipAt + 16, Size: 4})
	for i, s := range workload.Spans() {
		next := fmt.Sprint("range ", i)
		a.jump(bpf.JumpGreaterOrEqual, uint32(s.Lo), "", next)
		a.jump(bpf.JumpLessOrEqual, uint32(s.Hi), "yes", "")
		a.label(next)
	}
	a.jump(bpf.JumpEqual, 0, "no", "no")
}

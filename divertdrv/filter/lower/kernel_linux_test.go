package lower_test

import (
	"net"
	"os"
	"strconv"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"

	"github.com/weirnet/weir/internal/nettest"
)

// load loads a program until the test ends.
func load(t testing.TB, ins asm.Instructions) *ebpf.Program {
	t.Helper()
	prog, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SocketFilter, Instructions: ins, License: "Apache-2.0"})
	if err != nil {
		t.Fatalf("%+v\n%v", err, ins)
	}
	t.Cleanup(func() { _ = prog.Close() })
	return prog
}

// inKernel runs programs by BPF_PROG_TEST_RUN.
func inKernel(t testing.TB, ins asm.Instructions) runner {
	t.Helper()
	prog := load(t, ins)
	return func(pkt, ctx []byte) uint32 { return test(t, prog, pkt, ctx) }
}

// test runs a program on a packet. The frame around it is of no protocol, since the kernel refuses to run on what is too short
// for its own; programs do not look at it.
func test(t testing.TB, prog *ebpf.Program, pkt, ctx []byte) uint32 {
	t.Helper()
	got, err := prog.Run(&ebpf.RunOptions{Data: append(make([]byte, 14, 14+len(pkt)), pkt...), Context: ctx})
	if err != nil {
		t.Fatalf("%d bytes: %v", len(pkt), err)
	}
	return got
}

// The kernel answers as the evaluator does: not for one packet less, and where it cannot tell, for none that it could have told.
// WEIR_SEED chooses other filters and packets.
func TestKernelAgrees(t *testing.T) {
	nettest.Need(t, nettest.Root)
	seed, err := strconv.ParseUint(os.Getenv("WEIR_SEED"), 10, 64)
	if err != nil {
		seed = 1
	}
	tr := newTrial(seed, inKernel)
	tr.ifIdx = interfaces(t)
	const filters, perFilter = 2048, 50
	tr.try(t, filters, perFilter)
	tr.report(t, filters*perFilter, 500)
}

// interfaces on which the kernel can be told that a packet is.
func interfaces(t *testing.T) (list []uint32) {
	t.Helper()
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range all {
		list = append(list, uint32(i.Index))
	}
	return list
}

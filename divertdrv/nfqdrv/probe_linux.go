package nfqdrv

import (
	"errors"
	"fmt"
	"os"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/perf"
	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/divertdrv/nfqdrv/internal/judged"
	"github.com/weirnet/weir/divertdrv/nfqdrv/internal/queue"
	"github.com/weirnet/weir/divertdrv/nfqdrv/internal/ranks"
	"github.com/weirnet/weir/divertdrv/nfqdrv/internal/reinject"
	"github.com/weirnet/weir/divertdrv/nfqdrv/internal/rules"
	"github.com/weirnet/weir/internal/netns"
)

// probe tries what is not a rule first, then the rules' own features.
func probe() []Feature {
	ns, err := scratchNamespace()
	if err != nil {
		return []Feature{{
			Name: "network namespace", Need: true, Err: err, Cost: "nothing can be tried", Remedy: "mount /proc",
		}}
	}
	defer unix.Close(ns) //nolint:errcheck // of what was only looked at
	found := []Feature{
		{
			Name: "eBPF programs", Need: true, Err: tryProgram(),
			Cost: "no filter runs in the kernel, so nothing can be diverted", Remedy: "root or CAP_BPF, and a kernel with CONFIG_BPF_SYSCALL",
		},
		{
			Name: "table of ranks", Need: true, Err: tryRanks(),
			Cost: "handles would not know what others injected, so none opens", Remedy: "root or CAP_BPF",
		},
		{
			Name: "copies by perf buffer", Err: tryCopies(),
			Cost: "handles with the flag Sniff do not open", Remedy: "root, or CAP_BPF and CAP_PERFMON, and a kernel with CONFIG_PERF_EVENTS",
		},
		{
			Name: "cut-through", Err: tryJudged(),
			Cost: "judged flows do not stay in the kernel: handles with CutThrough do not open", Remedy: "root or CAP_BPF, and Linux 5.5",
		},
		{
			Name: "packet queue", Need: true, Err: tryQueue(ns),
			Cost: "nothing can be diverted", Remedy: "root or CAP_NET_ADMIN, and a kernel with CONFIG_NETFILTER_NETLINK_QUEUE (modprobe nfnetlink_queue)",
		},
		{
			Name: "outbound injection", Need: true, Err: tryInject(ns, false),
			Cost: "only handles with the flag RecvOnly open", Remedy: "root or CAP_NET_RAW",
		},
		{
			Name: "inbound injection", Need: true, Err: tryInject(ns, true),
			Cost:   "only handles with the flag RecvOnly open",
			Remedy: "root, or CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF, and a kernel with CONFIG_VETH and CONFIG_NET_CLS_ACT (modprobe veth)",
		},
	}
	return append(found, probeRules(ns)...)
}

// scratchNamespace is a new one, or ours where we may not make any.
func scratchNamespace() (fd int, err error) {
	done := make(chan struct{})
	go func() { // aside: without CAP_SYS_ADMIN the thread could not be brought home, and ends
		defer close(done)
		fd, err = netns.New()
	}()
	<-done
	if errors.Is(err, unix.EPERM) {
		return netns.Current()
	}
	return fd, err
}

// there runs f in the namespace; without the right to enter it is ours.
func there(ns int, f func() error) error {
	entered := false
	err := netns.Do(ns, func() error {
		entered = true
		return f()
	})
	if !entered && errors.Is(err, unix.EPERM) {
		return f()
	}
	return err
}

func tryProgram() error {
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SocketFilter, Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 0), asm.Return()}, License: "Apache-2.0",
	})
	if err != nil {
		return err
	}
	return p.Close()
}

func tryRanks() error {
	r, err := ranks.Open()
	if err != nil {
		return err
	}
	return r.Close()
}

func tryJudged() error {
	t, err := judged.Open()
	if err != nil {
		return err
	}
	defer t.Close()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SocketFilter, Instructions: append(asm.Instructions{asm.Mov.Reg(asm.R6, asm.R1)}, t.Program()...), License: "GPL",
	})
	if err != nil {
		return err
	}
	return p.Close()
}

func tryCopies() error {
	m, err := ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.PerfEventArray})
	if err != nil {
		return err
	}
	defer m.Close()
	r, err := perf.NewReader(m, os.Getpagesize())
	if err != nil {
		return err
	}
	return r.Close()
}

func tryQueue(ns int) error {
	return there(ns, func() error {
		q, err := queue.Open(queue.Config{Memory: 1 << 20})
		if err != nil {
			return err
		}
		return q.Close()
	})
}

func tryInject(ns int, inbound bool) error {
	return there(ns, func() error {
		in, err := reinject.Open(reinject.Config{Inbound: inbound, Source: newSource(), Namespace: -1})
		if err != nil {
			return err
		}
		return in.Close()
	})
}

func probeRules(ns int) (found []Feature) {
	features, err := rules.Probe(ns)
	if errors.Is(err, unix.EPERM) { // not ours to enter, so we are in it
		features, err = rules.Probe(-1)
	}
	if err != nil {
		return []Feature{{
			Name: "rules", Need: true, Err: fmt.Errorf("try: %w", err), Cost: "nothing can be diverted",
			Remedy: "root or CAP_NET_ADMIN, and a kernel with CONFIG_NF_TABLES",
		}}
	}
	ways := 0 // into a queue: either will do, and then the other's lack is not worth a word
	for _, f := range features {
		if way(f.Name) && f.Err == nil {
			ways++
		}
	}
	for _, f := range features {
		if lacks := way(f.Name) && f.Err != nil; !lacks || ways == 0 {
			found = append(found, Feature{Name: f.Name, Need: f.Need || lacks, Err: f.Err, Cost: f.Cost, Remedy: f.Remedy})
		}
	}
	return found
}

func way(feature string) bool { return feature == "queue statement" || feature == "NFQUEUE target" }

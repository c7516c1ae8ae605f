package rules

import (
	"errors"
	"fmt"
	"sync"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/internal/netlink"
)

// Feature is something that the kernel may have or not, as found by trying.
type Feature struct {
	Name   string
	Need   bool   // without it there is no diverting
	Err    error  // nil: it is there
	Cost   string // of its lack
	Remedy string // of its lack
}

// A trial is what the kernel is asked about a feature. The transaction is judged, and never done.
type trial struct {
	Feature
	ask func(b *batch, e *ebpf.Program)
}

const scratch = prefix + "probe"

// inScratch asks about a rule in a chain that no packet meets.
func inScratch(rule func(e *exprs, p *ebpf.Program)) func(b *batch, p *ebpf.Program) {
	return func(b *batch, p *ebpf.Program) {
		b.newTable(scratch, 0)
		b.add(unix.NFT_MSG_NEWCHAIN, create, func(a *netlink.Attrs) {
			a.String(unix.NFTA_CHAIN_TABLE, scratch)
			a.String(unix.NFTA_CHAIN_NAME, scratch)
		})
		b.newRule(scratch, scratch, func(e *exprs) { rule(e, p) })
	}
}

var (
	tryInet = trial{
		Feature{
			Name: "nf_tables, family inet", Need: true, Cost: "nothing can be diverted",
			Remedy: "a kernel with CONFIG_NF_TABLES and CONFIG_NF_TABLES_INET (modprobe nf_tables)",
		},
		func(b *batch, _ *ebpf.Program) {
			b.newTable(scratch, 0)
			b.newChain(scratch, Output, priorityBase)
		},
	}
	tryOwner = trial{
		Feature{
			Name:   "tables that go with their owner",
			Cost:   "the rules of a process that was killed stay until the next handle is opened",
			Remedy: "Linux 5.12 or later",
		},
		func(b *batch, _ *ebpf.Program) { b.newTable(scratch, tableOwner) },
	}
	tryBPF = trial{
		Feature{
			Name: "eBPF match by descriptor", Need: true, Cost: "no filter runs in the kernel, so nothing can be diverted",
			Remedy: "a kernel with CONFIG_NETFILTER_XT_MATCH_BPF and CONFIG_NFT_COMPAT (modprobe -a xt_bpf nft_compat)",
		},
		inScratch(func(e *exprs, p *ebpf.Program) { e.bpf(p.FD()) }),
	}
	tryNative = trial{
		Feature{
			Name: "queue statement", Cost: "nothing, if there is the NFQUEUE target",
			Remedy: "a kernel with CONFIG_NFT_QUEUE (modprobe nft_queue)",
		},
		inScratch(func(e *exprs, _ *ebpf.Program) { e.queueNative(To{}) }),
	}
	tryTarget = trial{
		Feature{
			Name: "NFQUEUE target", Cost: "nothing, if there is the queue statement; else nothing can be diverted",
			Remedy: "a kernel with CONFIG_NETFILTER_XT_TARGET_NFQUEUE and CONFIG_NFT_COMPAT (modprobe -a xt_NFQUEUE nft_compat)",
		},
		inScratch(func(e *exprs, _ *ebpf.Program) { e.queueTarget(To{}) }),
	}
	tryFib = trial{
		Feature{
			Name: "fib expression", Cost: "no handle sees the fragments of what comes in (flag Fragments)",
			Remedy: "a kernel with CONFIG_NFT_FIB_INET (modprobe nft_fib_inet)",
		},
		func(b *batch, _ *ebpf.Program) {
			b.newTable(scratch, 0)
			b.newChain(scratch, Prerouting, priorityBase)
			b.newRule(scratch, Prerouting.String(), (*exprs).local)
		},
	}
	tryCounter = trial{
		Feature{Name: "counters in rules", Cost: "rules with Count are refused", Remedy: "a kernel with CONFIG_NFT_COUNTER"},
		inScratch(func(e *exprs, _ *ebpf.Program) { e.counter() }),
	}
)

// Probe tries each feature in a namespace (-1: the caller's). Nothing is changed there, not even for a moment. It returns an
// error where trying is not possible: no right to, or no netfilter.
func Probe(namespace int) ([]Feature, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, namespace)
	if err != nil {
		return nil, failed("open a netfilter socket", err, "CONFIG_NETFILTER_NETLINK")
	}
	defer conn.Close()
	yes, yerr := always()
	if yerr == nil {
		defer yes.Close()
	}
	var found []Feature
	for _, t := range []*trial{&tryInet, &tryOwner, &tryBPF, &tryNative, &tryTarget, &tryFib, &tryCounter} {
		f := t.Feature
		if t == &tryBPF && yerr != nil {
			f.Err = yerr
		} else if f.Err = t.try(conn, yes); denied(f.Err) {
			return nil, failed("try: "+f.Name, f.Err, "")
		}
		found = append(found, f)
	}
	return found, nil
}

func (t *trial) try(c *netlink.Conn, p *ebpf.Program) error {
	b := newBatch(0)
	t.ask(&b, p)
	return b.check(c)
}

// always is the program that matches every packet.
func always() (*ebpf.Program, error) {
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SocketFilter, Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, 1), asm.Return()}, License: "Apache-2.0",
	})
	if err != nil {
		return nil, fmt.Errorf("rules: load an eBPF program (needs CAP_BPF): %w", err)
	}
	return p, nil
}

// The kernel does not change while it runs, so what it has is asked once. A trial that could not be made is made again.
var known struct {
	mu  sync.Mutex // guards has
	has map[*trial]bool
}

func hasNativeQueue(c *netlink.Conn) (bool, error) { return has(c, &tryNative) }
func hasOwner(c *netlink.Conn) (bool, error)       { return has(c, &tryOwner) }

func has(c *netlink.Conn, t *trial) (bool, error) {
	known.mu.Lock()
	defer known.mu.Unlock()
	if yes, ok := known.has[t]; ok {
		return yes, nil
	}
	err := t.try(c, nil)
	if err != nil && !lacking(err) && !errors.Is(err, unix.EINVAL) { // EINVAL: a flag or attribute that the kernel does not know
		return false, failed("try: "+t.Name, err, "")
	}
	if known.has == nil {
		known.has = make(map[*trial]bool)
	}
	known.has[t] = err == nil
	return err == nil, nil
}

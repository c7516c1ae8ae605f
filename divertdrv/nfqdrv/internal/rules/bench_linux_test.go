package rules

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/internal/netlink"
	"github.com/weirnet/weir/internal/nettest"
)

// bench is two namespaces; the rules are in here.
type bench struct {
	*testing.T
	here, there *nettest.Link
}

func newBench(t *testing.T) *bench {
	t.Helper()
	nettest.Need(t, nettest.Root)
	here, there := nettest.Pair(t, nettest.NewNamespace(t), nettest.NewNamespace(t))
	return &bench{t, here, there}
}

func (b *bench) open(priority int16, hooks ...Hook) *Table {
	b.Helper()
	t, err := Open(Config{Namespace: b.here.NS.FD(), Priority: priority, Hooks: hooks})
	b.must(err)
	b.Cleanup(func() { b.must(t.Close()) })
	return t
}

func (b *bench) must(errs ...error) {
	b.Helper()
	for _, err := range errs {
		if err != nil {
			b.Fatal(err)
		}
	}
}

// send sends datagrams with 10 bytes of payload from here and returns how many arrived there.
func (b *bench) send(to netip.Addr, n int) int {
	b.Helper()
	sink := nettest.ListenUDP(b, b.there.NS, netip.AddrPortFrom(to, 0))
	nettest.SendUDP(b, b.here.NS, sink.Addr(), nettest.Stream{Count: n, Size: 10})
	return sink.Wait(n).Received
}

// emit sends datagrams from here that nobody awaits. Rules at the output hook have decided when it returns.
func (b *bench) emit(to netip.Addr, n int) {
	b.Helper()
	nettest.SendUDP(b, b.here.NS, netip.AddrPortFrom(to, 9), nettest.Stream{Count: n, Size: 10})
}

// ping asks there and returns how many of three answers came.
func (b *bench) ping(to netip.Addr) int {
	b.Helper()
	n, err := nettest.Ping(b.here.NS, to, nettest.Echo{Count: 3, Wait: 50e6})
	if err != nil && n == 0 && err != unix.EPERM {
		b.Logf("ping: %v", err)
	}
	return n
}

func (b *bench) counters(t *Table) []Counter {
	b.Helper()
	c, err := t.Counters()
	b.must(err)
	return c
}

// protocol is a program that matches IPv4 packets of a protocol.
func (b *bench) protocol(number int32) *ebpf.Program {
	b.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SocketFilter, License: "Apache-2.0", Instructions: asm.Instructions{
		asm.Mov.Reg(asm.R6, asm.R1),
		asm.LoadAbs(0, asm.Byte),
		asm.RSh.Imm(asm.R0, 4),
		asm.JNE.Imm(asm.R0, 4, "no"),
		asm.LoadAbs(9, asm.Byte),
		asm.JNE.Imm(asm.R0, number, "no"),
		asm.Mov.Imm(asm.R0, 1),
		asm.Return(),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("no"),
		asm.Return(),
	}})
	b.must(err)
	b.Cleanup(func() { p.Close() })
	return p
}

// length is a program that matches packets of either family that are at least so long, which no chatter of the kernel is.
func (b *bench) length(bytes int32) *ebpf.Program {
	b.Helper()
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SocketFilter, License: "Apache-2.0", Instructions: asm.Instructions{
		asm.Mov.Imm(asm.R0, 0),
		asm.LoadMem(asm.R1, asm.R1, 0, asm.Word),
		asm.JLT.Imm(asm.R1, bytes, "no"),
		asm.Mov.Imm(asm.R0, 1),
		asm.Return().WithSymbol("no"),
	}})
	b.must(err)
	b.Cleanup(func() { p.Close() })
	return p
}

// ruleset is everything that nf_tables tells of the namespace, but the counters of packets.
func (b *bench) ruleset(ns *nettest.Namespace) (all []string) {
	b.Helper()
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, ns.FD())
	b.must(err)
	defer c.Close()
	for _, typ := range []uint16{unix.NFT_MSG_GETTABLE, unix.NFT_MSG_GETCHAIN, unix.NFT_MSG_GETRULE} {
		m := netlink.Message{Type: unix.NFNL_SUBSYS_NFTABLES<<8 | typ, Flags: unix.NLM_F_DUMP, Body: nfgen(unix.NFPROTO_UNSPEC, 0)}
		b.must(c.Query(m, func(m netlink.Message) error {
			all = append(all, string(slices.Concat([]byte{m.Body[0]}, m.Body[4:]))) // without the generation
			return nil
		}))
	}
	return all
}

// tables are those of family inet in the namespace here.
func (b *bench) tables() []string {
	b.Helper()
	c, err := netlink.Dial(unix.NETLINK_NETFILTER, b.here.NS.FD())
	b.must(err)
	defer c.Close()
	names, err := list(c)
	b.must(err)
	return names
}

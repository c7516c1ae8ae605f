package ranks_test

import (
	"net"
	"net/netip"
	"testing"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/divertdrv/nfqdrv/internal/ranks"
	"github.com/weirnet/weir/divertdrv/nfqdrv/internal/rules"
	"github.com/weirnet/weir/internal/nettest"
)

// handle is a table at the output hook that counts the datagrams to port 9 which its rank is to see.
type handle struct {
	*rules.Table
	rank ranks.Rank
}

func newHandle(t *testing.T, ns *nettest.Namespace, r *ranks.Registry, priority int16) *handle {
	t.Helper()
	h := new(handle)
	var err error
	h.Table, err = rules.Open(rules.Config{
		Namespace: ns.FD(), Priority: priority, Hooks: []rules.Hook{rules.Output},
		Ordered: func() (err error) { h.rank, err = r.Next(priority); return err },
	})
	must(t, err)
	t.Cleanup(func() { must(t, h.Close()) })
	ins := append(r.Prologue(ranks.SocketKey(), h.rank, "skip"),
		asm.Mov.Imm(asm.R0, 0),
		asm.LoadMem(asm.R1, asm.R6, 0, asm.Word), // the length: 20 + 8 + 300, or 40 + 8 + 300
		asm.JLT.Imm(asm.R1, 328, "skip"),
		asm.Mov.Imm(asm.R0, 1),
		asm.Return(),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("skip"),
		asm.Return(),
	)
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SocketFilter, Instructions: ins, License: "Apache-2.0"})
	must(t, err)
	defer p.Close()
	must(t, h.Set([]rules.Rule{{Hook: rules.Output, Match: p, Action: rules.Pass, Count: true}}))
	return h
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// What a socket of a rank sends is seen by the lower handles only, in both families; the same from another socket by all.
func TestHandlesSeeWhatHigherOnesInjected(t *testing.T) {
	nettest.Need(t, nettest.Root)
	here, there := nettest.Pair(t, nettest.NewNamespace(t), nettest.NewNamespace(t))
	r, err := ranks.Open()
	must(t, err)
	defer r.Close()
	low, old, young, high := newHandle(t, here.NS, r, -3), newHandle(t, here.NS, r, 0), newHandle(t, here.NS, r, 0), newHandle(t, here.NS, r, 1)
	all := []*handle{low, old, young, high}
	seen := make(map[*handle]uint64)
	send := func(to netip.Addr, injector *handle) {
		t.Helper()
		var conn *net.UDPConn
		here.NS.Do(func() { conn, err = net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, 9))) })
		must(t, err)
		defer conn.Close()
		if injector != nil {
			raw, err := conn.SyscallConn()
			must(t, err)
			var cookie uint64
			must(t, raw.Control(func(fd uintptr) { cookie, err = unix.GetsockoptUint64(int(fd), unix.SOL_SOCKET, unix.SO_COOKIE) }))
			must(t, err)
			must(t, r.Add(cookie, injector.rank))
			defer func() { must(t, r.Remove(cookie)) }()
		}
		_, err = conn.Write(make([]byte, 300))
		must(t, err)
		for _, h := range all {
			if injector == nil || h.rank.Sees(injector.rank) {
				seen[h]++
			}
			c, err := h.Counters()
			must(t, err)
			if c[0].Packets != seen[h] {
				t.Errorf("%v: %v saw %d datagrams, want %d", to, h.rank, c[0].Packets, seen[h])
			}
		}
	}
	for _, to := range []netip.Addr{there.V4, there.V6} {
		for _, injector := range append(all, nil) {
			send(to, injector)
		}
	}
	if seen[low] != 8 || seen[old] != 6 || seen[young] != 4 || seen[high] != 2 {
		t.Errorf("the test itself expects %v", seen)
	}
}

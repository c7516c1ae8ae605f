package nfqdrv_test

import (
	"bufio"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/nfqdrv"
	"github.com/weirnet/weir/internal/nettest"
)

// Environment of a test binary that is another process with a handle.
const (
	childNamespace = "WEIR_NFQDRV_NAMESPACE"
	childPriority  = "WEIR_NFQDRV_PRIORITY"
	childClosed    = "WEIR_NFQDRV_CLOSED"
)

// child opens a handle on everything, says so, and relays until its input ends; then it says what it received.
func child() error {
	priority, err := strconv.Atoi(os.Getenv(childPriority))
	if err != nil {
		return err
	}
	d := nfqdrv.New(nfqdrv.Config{Namespace: os.Getenv(childNamespace), FailClosed: os.Getenv(childClosed) != ""})
	h, err := divertdrv.Open("udp", divertdrv.Network, &divertdrv.Options{Driver: d, Priority: int16(priority)})
	if err != nil {
		return err
	}
	fmt.Println("open")
	go func() {
		b := divertdrv.NewBatch(64, 1<<20)
		for h.Recv(b) == nil {
			for i := range b.Packets() {
				b.Packets()[i].Set(divertdrv.Pass, 0)
			}
			_ = h.Complete(b)
		}
	}()
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	err = h.Close()
	fmt.Println(h.Stats().Received)
	return err
}

// process is a child.
type process struct {
	cmd *exec.Cmd
	in  interface{ Close() error }
	out *bufio.Reader
}

// startChild starts another process with a handle in the bench's host.
func (b *bench) startChild(env ...string) *process {
	b.t.Helper()
	p := &process{cmd: exec.Command(os.Args[0])}
	p.cmd.Env = append(os.Environ(), append(env, fmt.Sprintf("%s=/proc/%d/fd/%d", childNamespace, os.Getpid(), b.here.NS.FD()))...)
	p.cmd.Stderr = os.Stderr
	in, err := p.cmd.StdinPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	p.in, p.out = in, bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	})
	if line, err := p.out.ReadString('\n'); err != nil || line != "open\n" {
		b.t.Fatalf("the other process says %q, %v", line, err)
	}
	return p
}

// end closes the other process's handle and returns how many packets it received.
func (p *process) end(t testing.TB) int {
	t.Helper()
	_ = p.in.Close()
	line, err := p.out.ReadString('\n')
	n, bad := strconv.Atoi(strings.TrimSpace(line))
	if err := errors.Join(err, bad, p.cmd.Wait()); err != nil {
		t.Fatal(err)
	}
	return n
}

// Handles come and go while a numbered flow runs and another handle stays: nothing is lost, nothing comes twice.
func TestOpenCloseLosesNothing(t *testing.T) {
	b := newBench(t)
	sink := nettest.ListenUDP(t, b.there.NS, netip.AddrPortFrom(b.there.V4, 7))
	steady := b.open("udp.DstPort == 7", divertdrv.Options{Priority: -5})
	relay(t, steady, nil)
	var over atomic.Bool
	cycles := make(chan int, 1)
	go func() {
		n := 0
		defer func() { cycles <- n }()
		for !over.Load() {
			h, err := divertdrv.Open("udp.DstPort == 7", divertdrv.Network, &divertdrv.Options{Driver: b.driver})
			if err != nil {
				t.Error(err)
				return
			}
			over := start(t, h, nil)
			time.Sleep(5 * time.Millisecond)
			if err := h.Shutdown(divertdrv.ShutdownRecv); err != nil {
				t.Error(err)
			}
			<-over
			if err := h.Close(); err != nil {
				t.Error(err)
			}
			if st := h.Stats(); st.Lost != 0 || st.DroppedTotal() != 0 {
				t.Errorf("cycle %d: %+v", n, st)
			}
			n++
		}
	}()
	const packets = 6000
	nettest.SendUDP(t, b.here.NS, sink.Addr(), nettest.Stream{Count: packets, Size: 64, Burst: 4, Every: time.Millisecond})
	over.Store(true)
	n := <-cycles
	got := sink.Wait(packets)
	t.Logf("%d cycles: %+v", n, got)
	if got.Received != packets || got.Duplicates != 0 {
		t.Errorf("%d cycles: %+v, want %d", n, got, packets)
	}
	if st := steady.Stats(); st.Lost != 0 || st.DroppedTotal() != 0 {
		t.Errorf("the handle that stays: %+v", st)
	}
	if n < 5 {
		t.Errorf("%d cycles only", n)
	}
}

// A process that is killed at work leaves no rule and no queue behind, and traffic flows.
func TestKill(t *testing.T) {
	b := newBench(t)
	sink := nettest.ListenUDP(t, b.there.NS, netip.AddrPortFrom(b.there.V4, 7))
	p := b.startChild(childPriority + "=0")
	nettest.SendUDP(t, b.here.NS, sink.Addr(), nettest.Stream{Count: 2000, Size: 64})
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.cmd.Wait()
	nettest.SendUDP(t, b.here.NS, sink.Addr(), nettest.Stream{Count: 1000, First: 5000, Size: 64})
	got := sink.Wait(3000)
	t.Logf("%+v", got)
	if got.Received < 1000 {
		t.Errorf("%+v, want at least the 1000 after the kill", got)
	}
	if out := b.here.NS.Command("cat", "/proc/thread-self/net/netfilter/nfnetlink_queue"); out != "" {
		t.Errorf("queues that are left:\n%s", out)
	}
	if nettest.Program("nft", "nftables")() == nil {
		if out := b.here.NS.Command("nft", "list", "tables"); strings.Contains(out, "weir") {
			t.Errorf("tables that are left:\n%s", out)
		}
	}
}

// With FailClosed nothing that matches passes after a kill, until a handle is opened and closed again.
func TestKillFailClosed(t *testing.T) {
	b := newBench(t)
	sink := nettest.ListenUDP(t, b.there.NS, netip.AddrPortFrom(b.there.V4, 7))
	p := b.startChild(childPriority+"=0", childClosed+"=1")
	nettest.SendUDP(t, b.here.NS, sink.Addr(), nettest.Stream{Count: 100, Size: 64})
	if got := sink.Wait(100); got.Received != 100 {
		t.Fatalf("%+v, want 100 while the process lives", got)
	}
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
	nettest.SendUDP(t, b.here.NS, sink.Addr(), nettest.Stream{Count: 10, First: 500, Size: 64})
	if got := sink.Wait(101); got.Received != 100 {
		t.Errorf("%+v: something passed after the kill", got)
	}
	h, err := divertdrv.Open("udp", divertdrv.Network, &divertdrv.Options{
		Driver: nfqdrv.New(nfqdrv.Config{Namespace: fmt.Sprintf("/proc/self/fd/%d", b.here.NS.FD()), FailClosed: true}),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	nettest.SendUDP(t, b.here.NS, sink.Addr(), nettest.Stream{Count: 10, First: 1000, Size: 64})
	if got := sink.Wait(110); got.Received != 110 {
		t.Errorf("%+v, want the 10 after the new handle was closed", got)
	}
}

// Priorities hold between processes, for what passes and for what is injected.
func TestPrioritiesAcrossProcesses(t *testing.T) {
	b := newBench(t)
	sink := nettest.ListenUDP(t, b.there.NS, netip.AddrPortFrom(b.there.V4, 7))
	above := b.open("udp", divertdrv.Options{Priority: 10})
	p := b.startChild(childPriority + "=5")
	below := b.open("udp", divertdrv.Options{Priority: 0})
	relay(t, above, nil)
	relay(t, below, nil)
	nettest.SendUDP(t, b.here.NS, sink.Addr(), nettest.Stream{Count: 10, Size: 64})
	b.inject(below, 1)
	b.inject(above, 2)
	b.inject(above, 3)
	if got := sink.Wait(13); got.Received < 10 {
		t.Errorf("%+v", got)
	}
	waitFor(t, "the handle below", func() bool { return below.Stats().Received == 12 })
	if n := p.end(t); n != 12 {
		t.Errorf("the other process received %d, want 10 that were sent and 2 injected above it", n)
	}
	if st := above.Stats(); st.Received != 10 {
		t.Errorf("the handle above received %d, want 10", st.Received)
	}
}

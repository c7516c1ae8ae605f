package livetest

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/nfqdrv"
	"github.com/weirnet/weir/internal/nettest"
)

// A handle opens and closes a hundred times while a numbered flow runs, and is the only one: nothing is lost or doubled.
// What comes after a handle ended overtakes what it still has queued: that is WinDivert's contract too.
func TestHundredCycles(t *testing.T) {
	b := newBench(t)
	driver := nfqdrv.New(nfqdrv.Config{Namespace: fmt.Sprintf("/proc/self/fd/%d", b.here.NS.FD())})
	f := b.startFlow(time.Millisecond)
	for range 100 {
		b.cycle(driver, f)
	}
	f.endWhole()
	b.leftNothing()
}

// cycle diverts some packets of the flow.
func (b *bench) cycle(driver divertdrv.Driver, f *flow) {
	b.t.Helper()
	h, err := divertdrv.Open("udp", divertdrv.Network, &divertdrv.Options{Driver: driver})
	if err != nil {
		b.t.Fatal(err)
	}
	over := make(chan error, 1)
	go func() { over <- relay(h, nil) }()
	for until := time.Now().Add(patience); h.Stats().Received < 3 && time.Now().Before(until); {
		time.Sleep(time.Millisecond)
	}
	shut := h.Shutdown(divertdrv.ShutdownRecv) // what is in a batch when its handle closes is lost by contract
	err = errors.Join(shut, <-over, h.Close())
	st := h.Stats()
	if err = errors.Join(err, st.Conserved()); err != nil {
		b.t.Fatal(err)
	}
	if st.Received < 3 || st.Passed != st.Received || st.Lost != 0 {
		b.t.Fatalf("after %d datagrams: %+v", f.sent.Load(), st)
	}
}

// The command starts and ends five times under the same conditions.
func TestCommandCycles(t *testing.T) {
	b := newBench(t)
	f := b.startFlow(time.Millisecond)
	for range 5 {
		p := b.divert("udp")
		f.arrive(50)
		p.endPassed(1)
	}
	f.endWhole()
	b.leftNothing()
}

// queueLength is the default limit of a handle's queue, in packets.
const queueLength = 4096

// A kill at full load loses no more than what was queued; then traffic flows, and nothing is left in the kernel.
func TestKill(t *testing.T) {
	b := newBench(t)
	f := b.startFlow(0)
	p := b.divert("udp")
	f.arrive(5000)
	p.kill()
	f.arrive(5000)
	lost := f.end()
	full := int(b.there.NS.Counters()["Udp.RcvbufErrors"]) // of the receiver's socket, which is no fault of the program's
	if lost-full > queueLength {
		t.Errorf("%d sent, %d lost, %d of them by the receiver's socket; want at most %d by the queue", f.sent.Load(), lost, full, queueLength)
	}
	t.Logf("%d sent, %d lost, %d of them by the receiver's socket", f.sent.Load(), lost, full)
	b.leftNothing()
}

// Being terminated at full load loses nothing.
func TestTerminate(t *testing.T) {
	b := newBench(t)
	f := b.startFlow(0)
	p := b.divert("udp")
	f.arrive(5000)
	p.signal(syscall.SIGTERM)
	r := p.result()
	f.arrive(1000)
	lost, full := f.end(), int(b.there.NS.Counters()["Udp.RcvbufErrors"])
	if lost != full || r.Received < 1000 || r.Passed != r.Received || r.Lost != 0 {
		t.Errorf("%d sent, %d lost, %d of them by the receiver's socket; %s, lost %d", f.sent.Load(), lost, full, r.Law(), r.Lost)
	}
	t.Logf("%d sent; %s", f.sent.Load(), r.Law())
	b.leftNothing()
}

// leftNothing asserts that the namespace has no queue, table or device of the program's.
func (b *bench) leftNothing() {
	b.t.Helper()
	if out := b.here.NS.Command("cat", "/proc/thread-self/net/netfilter/nfnetlink_queue"); out != "" {
		b.t.Errorf("queues that are left:\n%s", out)
	}
	if nettest.Program("nft", "nftables")() == nil {
		if out := b.here.NS.Command("nft", "list", "tables"); strings.Contains(out, "weir") {
			b.t.Errorf("tables that are left:\n%s", out)
		}
	}
	devices := func() string { return b.here.NS.Command("ip", "-brief", "link") }
	for until := time.Now().Add(patience); strings.Contains(devices(), "weir"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(until) { // the kernel ends a namespace, and a device with it, when it has time
			b.t.Errorf("devices that are left:\n%s", devices())
			return
		}
	}
}

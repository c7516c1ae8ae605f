package nfqdrv_test

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/nfqdrv"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/internal/nettest"
)

func TestMain(m *testing.M) {
	if os.Getenv(childNamespace) != "" {
		if err := child(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// bench is two namespaces; the driver works in the first.
type bench struct {
	t           testing.TB
	here, there *nettest.Link
	driver      *nfqdrv.Driver
}

func newBench(t testing.TB) *bench {
	t.Helper()
	nettest.Need(t, nettest.Root)
	b := &bench{t: t}
	b.here, b.there = nettest.Pair(t, nettest.NewNamespace(t), nettest.NewNamespace(t))
	b.driver = driverIn(b.here.NS)
	return b
}

func namespaceOf(ns *nettest.Namespace) string { return fmt.Sprintf("/proc/self/fd/%d", ns.FD()) }

func driverIn(ns *nettest.Namespace) *nfqdrv.Driver {
	return nfqdrv.New(nfqdrv.Config{Namespace: namespaceOf(ns)})
}

// open opens a handle that the test closes, if it does not itself, and whose books must be right.
func (b *bench) open(filter string, o divertdrv.Options) *divertdrv.Handle {
	b.t.Helper()
	return openAt(b.t, b.driver, filter, divertdrv.Network, o)
}

func openAt(t testing.TB, d divertdrv.Driver, filter string, l divertdrv.Layer, o divertdrv.Options) *divertdrv.Handle {
	t.Helper()
	o.Driver = d
	h, err := divertdrv.Open(filter, l, &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
		st := h.Stats()
		if err := st.Conserved(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// relay passes what comes until the handle ends, after asking judge. The result is closed when it is over.
func relay(t testing.TB, h *divertdrv.Handle, judge func(p *divertdrv.Packet)) <-chan struct{} {
	over := start(t, h, judge)
	t.Cleanup(func() {
		_ = h.Close()
		<-over
	})
	return over
}

// start is relay where the caller sees to the end.
func start(t testing.TB, h *divertdrv.Handle, judge func(p *divertdrv.Packet)) <-chan struct{} {
	over := make(chan struct{})
	go func() {
		defer close(over)
		for b := divertdrv.NewBatch(64, 1<<20); ; {
			switch err := h.Recv(b); {
			case errors.Is(err, divertdrv.ErrClosed), errors.Is(err, divertdrv.ErrShutdown):
				return
			case err != nil:
				t.Errorf("Recv: %v", err)
				return
			}
			for i := range b.Packets() {
				p := &b.Packets()[i]
				p.Set(divertdrv.Pass, 0)
				if judge != nil {
					judge(p)
				}
			}
			if err := h.Complete(b); err != nil && !errors.Is(err, divertdrv.ErrClosed) {
				t.Errorf("Complete: %v", err)
			}
		}
	}()
	return over
}

// datagram is a UDP packet from the host to port 7 of the other end.
func (b *bench) datagram(number byte, size int) []byte {
	data := make([]byte, size)
	data[0], data[8], data[9] = 0x45, 64, wire.ProtoUDP
	data[2], data[3] = byte(size>>8), byte(size)
	data[5] = number
	copy(data[12:], b.here.V4.AsSlice())
	copy(data[16:], b.there.V4.AsSlice())
	data[20], data[23] = 9, 7
	data[24], data[25] = byte((size-20)>>8), byte(size-20)
	data[28+3] = number
	wire.CalcChecksums(data, 0)
	return data
}

// inject sends one past a handle.
func (b *bench) inject(h *divertdrv.Handle, number byte) {
	b.t.Helper()
	var a divertdrv.Address
	a.SetOutbound(true)
	a.SetChecksums(true)
	if _, err := h.Inject([]divertdrv.Packet{*divertdrv.NewPacket(a, b.datagram(number, 60))}); err != nil {
		b.t.Error(err)
	}
}

// waitFor polls until ok, for 10 seconds at most.
func waitFor(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for until := time.Now().Add(30 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("%s: not within 30 s", what)
		}
	}
}

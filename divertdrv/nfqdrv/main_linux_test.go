package nfqdrv_test

import (
	"errors"
	"fmt"
	"testing"

	"go.uber.org/goleak"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/nfqdrv"
	"github.com/weirnet/weir/internal/nettest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

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

func driverIn(ns *nettest.Namespace) *nfqdrv.Driver {
	return nfqdrv.New(nfqdrv.Config{Namespace: fmt.Sprintf("/proc/self/fd/%d", ns.FD())})
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
	t.Cleanup(func() {
		_ = h.Close()
		<-over
	})
	return over
}

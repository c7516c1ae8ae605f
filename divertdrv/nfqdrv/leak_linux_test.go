package nfqdrv_test

import (
	"errors"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/cilium/ebpf"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/internal/nettest"
)

// resources are what a process may leak.
type resources struct {
	files, goroutines, programs int
	heap                        uint64
}

func used(t testing.TB) (r resources) {
	t.Helper()
	files, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	r.files, r.goroutines = len(files), runtime.NumGoroutine()
	for id, err := ebpf.ProgramGetNextID(0); err == nil; id, err = ebpf.ProgramGetNextID(id) {
		if p, err := ebpf.NewProgramFromID(id); err == nil {
			if info, err := p.Info(); err == nil && info.Name == "weir_filter" {
				r.programs++
			}
			_ = p.Close()
		}
	}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	r.heap = m.HeapAlloc
	return r
}

// Handles of every kind open and close while packets run: nothing is left of them. With WEIR_LONG=1 for ten minutes.
func TestNothingLeaks(t *testing.T) {
	nettest.Need(t, nettest.Program("nft", "nftables"))
	b := newBench(t)
	s := newBlaster(t, b)
	kinds := []struct {
		filter string
		o      divertdrv.Options
	}{
		{"udp", divertdrv.Options{}},
		{"udp and timestamp > 0", divertdrv.Options{Priority: 5}},
		{"udp", divertdrv.Options{Flags: divertdrv.Sniff, Priority: 9}},
		{"udp.DstPort == 10", divertdrv.Options{Flags: divertdrv.DropAll}},
		{"udp", divertdrv.Options{Flags: divertdrv.SendOnly}},
		{"udp", divertdrv.Options{Flags: divertdrv.Fragments, Priority: -5}},
	}
	cycle := func() {
		var all []*divertdrv.Handle
		var over []<-chan struct{}
		for _, k := range kinds {
			k.o.Driver = b.driver
			h, err := divertdrv.Open(k.filter, divertdrv.Network, &k.o)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, h)
			if k.o.Flags&(divertdrv.SendOnly|divertdrv.DropAll) == 0 {
				over = append(over, start(t, h, nil))
			}
		}
		for range 20 {
			s.send()
		}
		b.inject(all[4], 1)
		for i := range all {
			h := all[(i*5)%len(all)] // in another order than they came
			if err := h.Close(); err != nil {
				t.Error(err)
			}
		}
		for _, o := range over {
			<-o
		}
		for _, h := range all { // not before: a batch may be out when its handle is closed
			if st := h.Stats(); st.Conserved() != nil || st.InBatch+st.Held != 0 {
				t.Errorf("%+v: %v", st, st.Conserved())
			}
		}
	}
	cycle()
	before := used(t)
	rounds, until := 15, time.Now()
	if os.Getenv("WEIR_LONG") != "" {
		until = until.Add(10 * time.Minute)
	}
	n := 0
	for ; n < rounds || time.Now().Before(until); n++ {
		cycle()
	}
	after := used(t)
	t.Logf("%d rounds: before %+v, after %+v", n, before, after)
	for wait := time.Now().Add(5 * time.Second); after.programs > before.programs && time.Now().Before(wait); after = used(t) {
		time.Sleep(50 * time.Millisecond) // the kernel lets go of programs later
	}
	if after.files > before.files || after.goroutines > before.goroutines || after.programs > before.programs || after.heap > before.heap+8<<20 {
		t.Errorf("after %d rounds %+v, before %+v", n, after, before)
	}
	if out := b.here.NS.Command("nft", "list", "tables"); strings.Contains(out, "weir") {
		t.Errorf("tables that are left:\n%s", out)
	}
}

// A flood that is faster than its reader loses packets where it must, in the queue, by cause; what is read and what is lost are
// all, and the newest are there.
func TestFlood(t *testing.T) {
	b := newBench(t)
	s := newBlaster(t, b)
	h := b.open("udp.DstPort == 9", divertdrv.Options{})
	const bursts = 400
	for range bursts {
		s.send()
	}
	if err := h.Shutdown(divertdrv.ShutdownRecv); err != nil {
		t.Fatal(err)
	}
	batch := divertdrv.NewBatch(divertdrv.BatchMax, 1<<20)
	for {
		err := h.Recv(batch)
		if errors.Is(err, divertdrv.ErrShutdown) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := h.Complete(batch); err != nil {
			t.Fatal(err)
		}
	}
	st := h.Stats()
	if err := st.Conserved(); err != nil || st.Received+st.Lost != bursts*burst || st.Received > 4096 {
		t.Errorf("received %d and lost %d of %d: %+v, %v", st.Received, st.Lost, bursts*burst, st.LostBy, err)
	}
}

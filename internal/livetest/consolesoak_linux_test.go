package livetest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/weirnet/weir/internal/control"
	"github.com/weirnet/weir/internal/nettest"
)

const (
	soakLevel = 5 * time.Minute // from here on memory is level
	soakLimit = 96 << 20        // GOMEMLIMIT, bytes: the collector may be a little late
	// Each of four floods that often, or in a long soak without a pause: that takes a processor, which other tests want meanwhile.
	floodEvery = 2 * time.Millisecond
)

// The daemon runs under load, is reloaded all the time, asked by many, and by some that ask too much or do not listen to the answer:
// its memory, goroutines and files stay what they are, nothing fails and no packet is lost.
func TestConsoleSoak(t *testing.T) {
	b := newBench(t, nettest.Program("iperf3", "iperf3"), nettest.Program("nft", "nftables"))
	t.Setenv("GOMEMLIMIT", strconv.Itoa(soakLimit))
	c := newConsole(b)
	d := c.start()
	transfer := c.transfer()
	load := c.connect()
	load.goesOn(500)
	neighbours := c.hostile()
	var reloading sync.WaitGroup
	over := make(chan struct{})
	reloading.Go(func() { c.reloadUntil(over) })

	var seen []usage
	for begun := time.Now(); time.Since(begun) < *soak; time.Sleep(*soak / 40) {
		seen = append(seen, c.usage(d))
	}
	close(over)
	reloading.Wait()
	neighbours()
	load.end()
	transfer()
	flat(t, seen, *soak >= soakLevel)
	m := c.metrics()
	m.conserved(t)
	if err := load.failures(); err != nil {
		t.Error(err)
	}
	if lost := m.sum("weir_packets_lost_total"); lost != 0 {
		t.Errorf("%v packets lost", lost)
	}
	t.Logf("%s; %v packets, %v reloads applied, %v refused, %v requests, %v refused; at the end %+v", load,
		m.sum("weir_packets_received_total"), m.sum("weir_reloads_total", "applied"), m.sum("weir_reloads_total", "refused"),
		m.sum("weir_control_total", `"requests"`), m.sum("weir_control_total", `"refused"`), seen[len(seen)-1])
	d.end()
	b.leftNothing()
}

// reloadUntil reloads a few times a second, every other time with a policy that is refused.
func (c *console) reloadUntil(over <-chan struct{}) {
	for i := 0; ; i++ {
		select {
		case <-over:
			return
		case <-time.After(100 * time.Millisecond):
		}
		c.write([]string{narrowPolicy, badPolicy, widePolicy, badPolicy}[i%4])
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		_, err := c.client.Reload(ctx)
		cancel()
		var e *control.Error
		if err != nil && (!errors.As(err, &e) || e.Code != control.CodeRefused && e.Code != control.CodeTooMany) {
			c.t.Errorf("reload: %v", err)
			return
		}
	}
}

// hostile starts neighbours who ask without end, subscribe and do not listen, and begin requests that they do not finish.
func (c *console) hostile() (end func()) {
	over := make(chan struct{})
	var all sync.WaitGroup
	again := func(every time.Duration, do func()) {
		all.Go(func() {
			for {
				do()
				select {
				case <-over:
					return
				case <-time.After(every):
				}
			}
		})
	}
	flood := control.NewClient(control.Address{Path: c.socket})
	pause := floodEvery
	if *soak >= soakLevel {
		pause = 0
	}
	for range 4 {
		again(pause, func() { _, _ = flood.Status(context.Background()) })
	}
	again(20*time.Millisecond, func() { _, _ = flood.Flows(context.Background(), control.FlowQuery{Limit: control.FlowsMax}) })
	for _, request := range []string{
		"GET /v1/trace HTTP/1.1\r\nHost: weir\r\n\r\n", "GET /v1/dump HTTP/1.1\r\nHost: weir\r\n\r\n", "POST /v1/explain HTTP/1.1\r\nHost: weir\r\nContent-Length: 99\r\n\r\n{",
	} {
		all.Go(func() {
			conn, err := net.Dial("unix", c.socket)
			if err != nil {
				c.t.Errorf("a neighbour: %v", err)
				return
			}
			defer conn.Close()
			_, _ = conn.Write([]byte(request))
			<-over
		})
	}
	return func() {
		close(over)
		all.Wait()
		flood.Close()
	}
}

// usage is what the daemon takes of the machine.
type usage struct {
	Goroutines, Files int
	Heap              uint64 // bytes
	Anonymous         uint64 // bytes of memory that is no file's
}

func (c *console) usage(d *process) (u usage) {
	c.t.Helper()
	for until := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		s, err := c.client.Status(ctx)
		cancel()
		if err == nil {
			return usage{s.Process.Goroutines, s.Process.OpenFiles, s.Process.HeapBytes, anonymous(d.cmd.Process.Pid)}
		}
		var e *control.Error // the flood took the answers of this second
		if !errors.As(err, &e) || e.Status != http.StatusTooManyRequests || time.Now().After(until) {
			c.t.Fatal(err)
		}
	}
}

// anonymous reads RssAnon of a process.
func anonymous(pid int) uint64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "RssAnon:"); ok {
			n, _ := strconv.ParseUint(strings.Fields(rest)[0], 10, 64)
			return n << 10
		}
	}
	return 0
}

// flat asserts that what was used in the last third is no more than in the first, but for noise. In a short time memory is not level:
// the collector lets it grow up to its limit before it works for it.
func flat(t *testing.T, seen []usage, level bool) {
	t.Helper()
	third := len(seen) / 3
	if third < 3 {
		t.Fatalf("%d looks only", len(seen))
	}
	most := func(part []usage, of func(usage) uint64) uint64 {
		n := uint64(0)
		for _, u := range part {
			n = max(n, of(u))
		}
		return n
	}
	first, last := seen[:third], seen[len(seen)-third:]
	for _, x := range []struct {
		what  string
		holds bool
		of    func(usage) uint64
		noise uint64
	}{
		{"goroutines", true, func(u usage) uint64 { return uint64(u.Goroutines) }, 10},
		{"files", true, func(u usage) uint64 { return uint64(u.Files) }, 10},
		{"bytes of anonymous memory", level, func(u usage) uint64 { return u.Anonymous }, 16 << 20},
	} {
		if a, b := most(first, x.of), most(last, x.of); x.holds && b > a+x.noise {
			t.Errorf("%s: at most %d in the first third, %d in the last", x.what, a, b)
		}
	}
	if n := most(seen, func(u usage) uint64 { return u.Anonymous }); n > soakLimit+soakLimit/4 {
		t.Errorf("%d bytes of anonymous memory, limit %d", n, soakLimit)
	}
	lowest := func(part []usage) uint64 {
		return slices.MinFunc(part, func(a, b usage) int { return int(a.Heap) - int(b.Heap) }).Heap
	}
	if a, b := lowest(first), lowest(last); level && b > 2*a+8<<20 {
		t.Errorf("the heap was %d bytes at its lowest in the first third, %d in the last", a, b)
	}
}

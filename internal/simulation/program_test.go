package simulation

import (
	"runtime"
	"strings"
	"sync"
	"testing"
)

// TestPrograms runs random programs over a host with faults: the model says what must come of each.
func TestPrograms(t *testing.T) { soak(t, Generate, 1500, 100_000) }

// TestSocketPrograms is TestPrograms with sockets, and handles that see what becomes of them.
func TestSocketPrograms(t *testing.T) { soak(t, GenerateSockets, 500, 100_000) }

func soak(t *testing.T, generate func(seed uint64) Program, short, long int) {
	t.Helper()
	var mu sync.Mutex // guards all below
	var total Counts
	var broken *Program
	each(short, long, func(seed uint64) bool {
		p := generate(seed)
		r := Run(p, Options{})
		mu.Lock()
		defer mu.Unlock()
		total.Add(r.Counts)
		if r.Err != nil && broken == nil {
			broken = &p
		}
		return broken == nil
	})
	t.Logf("%+v", total)
	if broken != nil {
		report(t, *broken)
	}
	if single(t) {
		t.Log(strings.Join(Run(generate(*seedFlag), Options{Trace: true}).Trace, "\n"))
		return
	}
	for i, n := range total.all() {
		if *n == 0 && total.Programs >= 500 {
			t.Errorf("count %d is 0: the programs do not try everything: %+v", i, total)
		}
	}
}

// each calls f with every seed, from as many goroutines as there are processors, until it returns false.
func each(short, long int, f func(seed uint64) bool) {
	todo := make(chan uint64)
	stop := make(chan struct{})
	var once sync.Once
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for seed := range todo {
				if !f(seed) {
					once.Do(func() { close(stop) })
				}
			}
		})
	}
	for seed := range seeds(*programsFlag, short, long) {
		select {
		case todo <- seed:
			continue
		case <-stop:
		}
		break
	}
	close(todo)
	wg.Wait()
}

// report says what a program breaks, and how to see it again.
func report(t *testing.T, p Program) {
	t.Helper()
	small := Shrink(p, Options{})
	r := Run(small, Options{Trace: true})
	whole := Run(p, Options{})
	t.Fatalf("%v breaks the contract at operation %d:\n%v\n\nto see it again: go test ./internal/simulation -run %s -seed %d\n\nshrunk to %d operations:\n%s",
		&p, whole.At, whole.Err, t.Name(), p.Seed, len(small.Ops), strings.Join(r.Trace, "\n"))
}

// TestProgramsRepeat: a seed gives the same run each time.
func TestProgramsRepeat(t *testing.T) {
	digests := map[uint64]bool{}
	for seed := range uint64(200) {
		a, b := Run(Generate(seed), Options{}), Run(Generate(seed), Options{Trace: true})
		if a.Digest != b.Digest || a.Counts != b.Counts {
			t.Fatalf("seed %d: two runs differ", seed)
		}
		digests[a.Digest] = true
	}
	if len(digests) < 200 {
		t.Errorf("200 seeds make %d different runs", len(digests))
	}
}

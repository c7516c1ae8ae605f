package nettest

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

// Resources are what this process has and may leak. What other processes have is not among it, so tests may run side by side.
type Resources struct {
	Files      int    // open descriptors
	Programs   int    // of these, eBPF programs
	Maps       int    // and eBPF maps
	Goroutines int    //
	Heap       uint64 // bytes in use, after a collection
}

// Used counts them.
func Used(t testing.TB) (r Resources) {
	t.Helper()
	const dir = "/proc/self/fd"
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		r.Files++
		switch to, _ := os.Readlink(filepath.Join(dir, f.Name())); to { // one that is gone was that of the folder
		case "anon_inode:bpf-prog":
			r.Programs++
		case "anon_inode:bpf-map":
			r.Maps++
		}
	}
	runtime.GC()
	runtime.GC() // what finalizers let go
	r.Goroutines = runtime.NumGoroutine()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	r.Heap = m.HeapAlloc
	return r
}

// Settled counts them until there are no more than before, or ten seconds are over: what a timer has just started ends by itself.
func Settled(t testing.TB, before Resources) Resources {
	t.Helper()
	for until := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if r := Used(t); !r.Leaks(before) || time.Now().After(until) {
			return r
		}
	}
}

// Slack is how much more heap a process may have that leaks none.
const Slack = 16 << 20

// Leaks says whether there is more of something than before, but for the slack.
func (r Resources) Leaks(before Resources) bool {
	return r.Files > before.Files || r.Programs > before.Programs || r.Maps > before.Maps || r.Goroutines > before.Goroutines ||
		r.Heap > before.Heap+Slack
}

// Rules lists the nf_tables tables of a namespace whose names have the prefix, with their rules; empty: there are none.
func (n *Namespace) Rules(prefix string) string {
	n.t.Helper()
	var found []string
	for line := range strings.Lines(n.Command("nft", "list", "tables")) {
		if fields := strings.Fields(line); len(fields) == 3 && strings.HasPrefix(fields[2], prefix) {
			found = append(found, n.Command("nft", "list", "table", fields[1], fields[2]))
		}
	}
	return strings.Join(found, "\n")
}

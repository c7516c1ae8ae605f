package daemon

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"time"

	"github.com/weirnet/weir/internal/control"
)

// Status says what runs.
func (s *Session) Status() control.Status {
	plan := s.plan.Load()
	_, again, last := s.revived.get()
	x := control.Status{
		API: control.Version, Weir: build(), PID: os.Getpid(), State: *s.state.Load(),
		Started: s.begun, UptimeNS: time.Since(s.begun).Nanoseconds(),
		Driver:  control.DriverStatus{Name: s.driver.Name(), Reopened: again, Error: last},
		Policy:  control.PolicyStatus{Path: plan.Path, LoadedAt: *s.loadedAt.Load(), Handles: len(plan.Handles)},
		Reloads: s.reloads.get(), Process: process(),
	}
	x.Driver.Open = x.State == control.Running && s.swap.up()
	if plan.Policy != nil {
		x.Policy.Filters, x.Policy.Callouts = len(plan.Policy.Filters()), len(plan.Policy.Callouts())
	}
	return x
}

// build says which program this is.
func build() control.Build {
	b := control.Build{Version: "(unknown)", Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	b.Version = info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			b.Revision = s.Value
		}
	}
	return b
}

// process says what the program takes of the machine. It does not stop it, as runtime.ReadMemStats does.
func process() control.Process {
	read := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/gc/gomemlimit:bytes"}}
	metrics.Read(read)
	p := control.Process{Goroutines: runtime.NumGoroutine(), HeapBytes: read[0].Value.Uint64(), OpenFiles: openFiles()}
	if limit := read[1].Value.Uint64(); limit < 1<<62 {
		p.MemoryLimit = limit
	}
	return p
}

// openFiles is how many files and sockets are open; 0 where the platform does not tell.
func openFiles() int {
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(names)
}

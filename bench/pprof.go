package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"time"
)

// profileTime is how long a profiled run takes at least.
const profileTime = 300 * time.Millisecond

// profile runs every variant of this program once more, for Settings.Pprof: a profiler costs time, so it is not there when it
// counts. Peers of another program are not profiled.
func (r *running) profile(ctx context.Context) error {
	dir := r.s.Settings.Pprof
	if dir == "" {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for i := range r.cases {
		c := &r.cases[i]
		for j := range c.trials {
			if c.trials[j].Run == nil || c.trials[j].elsewhere {
				continue
			}
			path := filepath.Join(dir, fileName(c.Name()+"."+c.Outcomes[j].Variant)+".cpu.pprof")
			if err := r.profileOne(ctx, &c.trials[j], path); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
		}
	}
	return nil
}

// profileOne runs long enough for a profiler that looks a hundred times a second.
func (r *running) profileOne(ctx context.Context, t *startedTrial, path string) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := pprof.StartCPUProfile(f); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	settings := r.s.Settings
	settings.Time = max(settings.Time, profileTime)
	_, err = t.once(ctx, &settings)
	return err
}

// fileName makes a name that every file system takes.
func fileName(name string) string {
	return strings.Map(func(c rune) rune {
		if strings.ContainsRune(`/\:*?"<>| `, c) {
			return '_'
		}
		return c
	}, name)
}

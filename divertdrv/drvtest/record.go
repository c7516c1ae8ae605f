package drvtest

import (
	"fmt"
	"runtime"
	"sync"
)

// recorder is a T that keeps what it is told.
type recorder struct {
	mu       sync.Mutex // guards all below
	failures []string
	cleanups []func()
}

// record runs f as a test of its own and returns its failures, nil for none.
func record(f func(T)) []string {
	r := &recorder{}
	r.guard(func() { f(r) })
	for c := r.pop(); c != nil; c = r.pop() {
		r.guard(c)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failures
}

// guard runs f in a goroutine that Fatalf may end, and takes a panic for a failure.
func (r *recorder) guard(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if v := recover(); v != nil {
				r.Errorf("panic: %v", v)
			}
		}()
		f()
	}()
	<-done
}

func (r *recorder) pop() func() {
	r.mu.Lock()
	defer r.mu.Unlock()
	last := len(r.cleanups) - 1
	if last < 0 {
		return nil
	}
	f := r.cleanups[last]
	r.cleanups = r.cleanups[:last]
	return f
}

// Helper does nothing: failures are told by rule.
func (r *recorder) Helper() {}

func (r *recorder) Errorf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failures = append(r.failures, fmt.Sprintf(format, args...))
}

func (r *recorder) Fatalf(format string, args ...any) {
	r.Errorf(format, args...)
	runtime.Goexit()
}

func (r *recorder) Cleanup(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cleanups = append(r.cleanups, f)
}

package main

import (
	"bytes"
	"strings"
	"sync"
	"testing"

	"github.com/weirnet/weir/internal/daemon"
)

// screen is a terminal that tells when it was first written to.
type screen struct {
	mu      sync.Mutex
	text    bytes.Buffer
	started chan struct{}
	once    sync.Once
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.once.Do(func() { close(s.started) })
	return s.text.Write(p)
}

// The bar shows how far it is, and leaves an empty line behind.
func TestProgress(t *testing.T) {
	for name, p := range map[string]daemon.Progress{
		"packets": {Done: 30, Total: 60},
		"bytes":   {Done: 500, Total: 1000, Bytes: true},
		"spinner": {Done: 30},
		"all":     {Done: 60, Total: 60},
	} {
		t.Run(name, func(t *testing.T) {
			s := &screen{started: make(chan struct{})}
			stop, gone := make(chan struct{}), make(chan struct{})
			go func() {
				defer close(gone)
				drawProgress(s, func() daemon.Progress { return p }, stop)
			}()
			<-s.started
			close(stop)
			<-gone
			lines := strings.Split(s.text.String(), "\r")
			if strings.TrimSpace(lines[len(lines)-1]) != "" {
				t.Errorf("left behind %q", lines[len(lines)-1])
			}
			if p.Total == 60 && p.Done == 30 && !strings.Contains(s.text.String(), "50%") {
				t.Errorf("no 50%% in %q", s.text.String())
			}
		})
	}
}

// What is no terminal gets no bar.
func TestProgressNeedsATerminal(t *testing.T) {
	var log bytes.Buffer
	showProgress(&log, nil)()
	if log.Len() > 0 {
		t.Errorf("%q", log.String())
	}
}

package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/proc"
)

// dumpedProcess is who a packet is of, as `weir dump --json` prints it.
type dumpedProcess struct {
	ID   uint32 `json:"id,omitempty"` // left out where several processes of that name share the socket
	Name string `json:"name,omitempty"`
	Path string `json:"path,omitempty"`
}

func (p *dumpedProcess) String() string {
	switch {
	case p.ID == 0:
		return p.Name
	case p.Name == "":
		return fmt.Sprintf("pid %d", p.ID)
	}
	return fmt.Sprintf("%s (%d)", p.Name, p.ID)
}

const (
	lineQueue  = 4096                   // lines that wait for their process to be known
	lineWait   = 250 * time.Millisecond // how long one does, all of them at once
	lineHurry  = lineQueue / 4          // with more behind it a line does not wait: better a line without a process than one lost
	lookPeriod = 50 * time.Millisecond
)

// line is a packet that is to be printed.
type line struct {
	d       *dumped
	at      time.Time // when the packet was seen, which it prints
	came    time.Time // when it began to wait
	key     proc.Key
	inbound bool
	owned   bool // by a process of this host, known or not
}

// namer finds the processes of lines, and prints these in their order, in a goroutine of its own: reading packets goes on.
type namer struct {
	table        *proc.Table
	print        func(l *line) error
	flush        func() error
	lines        chan *line
	done         chan struct{}         // closed when all is printed and nobody watches any more
	failed       atomic.Pointer[error] // of printing; nil: none
	unattributed uint64                // valid after end
	stop         func() error
}

// newNamer starts one. On Windows the driver's own events are joined too; elsewhere it has none, and the socket tables have to do.
func newNamer(ctx context.Context, sys proc.System, stop func() error, print func(*line) error, flush func() error) *namer {
	n := &namer{
		table: proc.New(proc.Options{System: sys, Deadline: lineWait, Refresh: lookPeriod}),
		print: print, flush: flush, lines: make(chan *line, lineQueue), done: make(chan struct{}), stop: stop,
	}
	_ = n.table.Look() // it is tried again when a packet wants it, and counted
	watched, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = n.table.Watch(watched, nil, func() {}) // without events there are looks
	}()
	go func() {
		defer close(n.done)
		n.run()
		cancel()
		<-ended
	}()
	return n
}

// add queues a packet. It blocks while the queue is full.
func (n *namer) add(d *dumped, p *divertdrv.Packet) {
	l := &line{d: d, at: stamp(p), came: time.Now()}
	l.key, l.inbound, l.owned = proc.KeyOf(p)
	n.lines <- l
}

// broken is what went wrong with printing so far.
func (n *namer) broken() error {
	if err := n.failed.Load(); err != nil {
		return *err
	}
	return nil
}

func (n *namer) run() {
	for l := range n.lines {
		if n.broken() != nil {
			continue // nobody reads any more; whoever adds is told
		}
		if l.owned {
			n.name(l)
		}
		err := n.print(l)
		if err == nil && len(n.lines) == 0 {
			err = n.flush()
		}
		if err != nil {
			n.failed.Store(&err)
		}
	}
}

// name waits for the process of a line, unless it has waited long enough behind others, or many wait behind it.
func (n *namer) name(l *line) {
	p, ok := n.table.Owner(l.key)
	if !ok && time.Since(l.came) < lineWait && len(n.lines) < lineHurry {
		answer := make(chan proc.Process, 1)
		n.table.Ask(l.key, l.inbound, func(p proc.Process, _ bool) { answer <- p })
		p = <-answer
		ok = p.Known()
	}
	if !ok {
		n.unattributed++
		return
	}
	l.d.Process = &dumpedProcess{p.ID, p.Name, p.Path}
}

// end prints what is queued, and returns what went wrong with printing.
func (n *namer) end() error {
	close(n.lines)
	<-n.done
	n.table.Close()
	return errors.Join(n.broken(), n.stop())
}

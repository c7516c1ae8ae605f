package livetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// connections is short TCP connections from the other host to that of the daemon: each asks and is answered. They keep a timetable:
// what a slow moment kept from its time is made up for as soon as a worker is free, so a machine that can reach the rate reaches it.
type connections struct {
	b       *bench
	every   time.Duration
	over    chan struct{}
	workers sync.WaitGroup
	begun   time.Time
	slots   atomic.Int64 // of the timetable, that are given away
	made    atomic.Int64
	failed  atomic.Int64
	first   atomic.Pointer[error]
	reached atomic.Int64 // of those that should not
	took    time.Duration
	inTime  int64 // that were made in that time
}

const (
	connectionsAtOnce = 50               // so many may be slow before one is late
	connectionsEvery  = time.Millisecond // a thousand a second
	blockedEvery      = 5 * time.Millisecond
)

// schedule begins a timetable. Its workers are added by work.
func (c *console) schedule(every time.Duration) *connections {
	n := &connections{b: c.bench, every: every, over: make(chan struct{}), begun: time.Now()}
	c.t.Cleanup(n.end)
	return n
}

// connect begins to connect.
func (c *console) connect() *connections {
	c.t.Helper()
	l := c.listen(0, func(conn net.Conn) {
		_, _ = io.Copy(conn, conn)
	})
	c.there.NS.Sysctl("ipv4/tcp_tw_reuse", "1") // a port waits for a minute; there are ports for 500 connections a second
	n := c.schedule(connectionsEvery)
	for range connectionsAtOnce {
		n.work(func() {
			if err := ask(l); err != nil {
				n.first.CompareAndSwap(nil, &err)
				n.failed.Add(1)
			}
			n.made.Add(1)
		})
	}
	return n
}

// tryBlocked begins to connect to the port that policies block, where somebody listens.
func (c *console) tryBlocked() *connections {
	c.t.Helper()
	n := c.schedule(blockedEvery)
	at := c.listen(9, func(net.Conn) { n.reached.Add(1) })
	for range 2 {
		n.work(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
			defer cancel()
			conn, err := (&net.Dialer{}).DialContext(ctx, "tcp4", at.String())
			if err == nil {
				_ = conn.Close()
			}
			n.made.Add(1)
		})
	}
	return n
}

// listen serves at a port of the daemon's host until the test ends.
func (c *console) listen(port uint16, serve func(net.Conn)) netip.AddrPort {
	c.t.Helper()
	var l net.Listener
	var err error
	c.here.NS.Do(func() { l, err = net.Listen("tcp4", netip.AddrPortFrom(c.here.V4, port).String()) })
	if err != nil {
		c.t.Fatal(err)
	}
	var under sync.WaitGroup
	under.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			under.Go(func() {
				defer conn.Close()
				_ = conn.SetDeadline(time.Now().Add(patience))
				serve(conn)
			})
		}
	})
	c.t.Cleanup(func() {
		_ = l.Close()
		under.Wait()
	})
	return l.Addr().(*net.TCPAddr).AddrPort()
}

// work adds a worker, on a thread in the other host's namespace: it takes the next slot, waits for its time and does it.
func (n *connections) work(do func()) {
	n.workers.Go(func() {
		n.b.there.NS.Do(func() {
			for n.waitFor(n.begun.Add(time.Duration(n.slots.Add(1)) * n.every)) {
				do()
			}
		})
	})
}

// waitFor waits until a time, and returns false when all is over.
func (n *connections) waitFor(at time.Time) bool {
	select {
	case <-n.over:
		return false
	case <-time.After(time.Until(at)):
		return true
	}
}

// ask makes a connection, sends some bytes and reads them again.
func ask(at netip.AddrPort) error {
	conn, err := net.DialTimeout("tcp4", at.String(), patience)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	const text = "does it come back?"
	if _, err := io.WriteString(conn, text); err != nil {
		return err
	}
	back := make([]byte, len(text))
	if _, err := io.ReadFull(conn, back); err != nil {
		return err
	}
	if string(back) != text {
		return errors.New("other bytes came back")
	}
	return nil
}

// goesOn waits until so many more connections were made.
func (n *connections) goesOn(more int64) {
	n.b.t.Helper()
	for want, until := n.made.Load()+more, time.Now().Add(patience); n.made.Load() < want; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			n.b.t.Fatalf("no %d connections within %v", more, patience)
		}
	}
}

// end ends it. It may be called again.
func (n *connections) end() {
	select {
	case <-n.over:
	default:
		n.took, n.inTime = time.Since(n.begun), n.made.Load() // a packet that kill -9 took is sent again only a second later
		close(n.over)
		n.workers.Wait()
	}
}

// failures are an error that says how many failed, and why the first did; nil if none.
func (n *connections) failures() error {
	if n.failed.Load() == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d connections failed; the first: %w", n.failed.Load(), n.made.Load(), *n.first.Load())
}

func (n *connections) String() string {
	return fmt.Sprintf("%d connections in %.1f s, %.0f a second of %.0f", n.inTime, n.took.Seconds(),
		float64(n.inTime)/n.took.Seconds(), float64(time.Second/n.every))
}

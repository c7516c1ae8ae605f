package livetest

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// connections is short TCP connections from the other host to that of the daemon, a thousand a second if the machine can: each asks
// and is answered.
type connections struct {
	b       *bench
	over    chan struct{}
	workers sync.WaitGroup
	made    atomic.Int64
	failed  atomic.Int64
	first   atomic.Pointer[error]
	reached atomic.Int64 // of those that should not
	begun   time.Time
	took    time.Duration
}

const (
	connectionsAtOnce = 20
	connectionsEvery  = connectionsAtOnce * time.Millisecond // for each of those
)

// connect begins to connect.
func (c *console) connect() *connections {
	c.t.Helper()
	l := c.listen(0, func(conn net.Conn) {
		_, _ = io.Copy(conn, conn)
	})
	n := &connections{b: c.bench, over: make(chan struct{}), begun: time.Now()}
	for range connectionsAtOnce {
		n.work(connectionsEvery, func() {
			if err := ask(l); err != nil {
				n.failed.Add(1)
				n.first.CompareAndSwap(nil, &err)
			}
			n.made.Add(1)
		})
	}
	return n
}

// tryBlocked begins to connect to the port that policies block, where somebody listens.
func (c *console) tryBlocked() *connections {
	c.t.Helper()
	n := &connections{b: c.bench, over: make(chan struct{}), begun: time.Now()}
	at := c.listen(9, func(net.Conn) { n.reached.Add(1) })
	for range 2 {
		n.work(10*time.Millisecond, func() {
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

// work does something again and again, on a thread in the other host's namespace.
func (n *connections) work(every time.Duration, do func()) {
	n.workers.Go(func() {
		n.b.there.NS.Do(func() {
			tick := time.NewTicker(every)
			defer tick.Stop()
			for {
				do()
				select {
				case <-n.over:
					return
				case <-tick.C:
				}
			}
		})
	})
	n.b.t.Cleanup(n.end)
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
		close(n.over)
		n.workers.Wait()
		n.took = time.Since(n.begun)
	}
}

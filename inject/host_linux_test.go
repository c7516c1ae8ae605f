package inject_test

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/nfqdrv"
	"github.com/weirnet/weir/inject"
	"github.com/weirnet/weir/internal/nettest"
)

// patience bounds every wait for a packet.
const patience = 5 * time.Second

// host is a handle of the Linux driver in a namespace, with its injector.
type host struct {
	t    testing.TB
	h    *divertdrv.Handle
	j    *inject.Injector
	over chan struct{} // closed when serve has ended; nil: it never ran
}

// newHost opens them; finish, which the test may call earlier, closes them and looks at the books.
func newHost(t testing.TB, ns *nettest.Namespace, layer divertdrv.Layer, filter string, cfg inject.Config) *host {
	t.Helper()
	d := nfqdrv.New(nfqdrv.Config{Namespace: fmt.Sprintf("/proc/self/fd/%d", ns.FD())})
	h, err := divertdrv.Open(filter, layer, &divertdrv.Options{Driver: d})
	if err != nil {
		t.Fatal(err)
	}
	j, err := inject.New(h, cfg)
	if err != nil {
		t.Fatal(err)
	}
	s := &host{t: t, h: h, j: j}
	t.Cleanup(func() { s.finish() })
	return s
}

// serve completes what comes, through the injector, after judge had a look; what judge does not mark passes.
func (s *host) serve(judge func(p *divertdrv.Packet)) {
	s.over = make(chan struct{})
	go func() {
		defer close(s.over)
		for b := divertdrv.NewBatch(64, 1<<20); ; {
			switch err := s.h.Recv(b); {
			case errors.Is(err, divertdrv.ErrShutdown), errors.Is(err, divertdrv.ErrClosed):
				return
			case err != nil:
				s.t.Errorf("Recv: %v", err)
				return
			}
			for i := range b.Packets() {
				p := &b.Packets()[i]
				p.Set(divertdrv.Pass, 0)
				judge(p)
			}
			if err := s.j.Complete(b); err != nil {
				s.t.Errorf("Complete: %v", err)
			}
		}
	}()
}

// finish ends all in order: every packet that was read is completed, every injection too.
func (s *host) finish() divertdrv.Stats {
	s.t.Helper()
	_ = s.h.Shutdown(divertdrv.ShutdownRecv)
	if s.over != nil {
		<-s.over
	}
	if err := s.j.Close(patience); err != nil {
		s.t.Errorf("close the injector: %v", err)
	}
	if err := s.h.Close(); err != nil {
		s.t.Error(err)
	}
	st, in := s.h.Stats(), s.j.Stats()
	if err := st.Conserved(); err != nil {
		s.t.Error(err)
	}
	if in.Injected != in.Completed+in.Failed || in.Pending != 0 || st.InBatch != 0 || st.Held != 0 || st.Lost != 0 {
		s.t.Errorf("at the end: %+v, injections %+v", st, in)
	}
	return st
}

// listen opens a UDP socket that gives up after patience.
func listen(t testing.TB, ns *nettest.Namespace, at netip.AddrPort) *net.UDPConn {
	t.Helper()
	var c *net.UDPConn
	var err error
	network := "udp4"
	if at.Addr().Is6() {
		network = "udp6"
	}
	ns.Do(func() { c, err = net.ListenUDP(network, net.UDPAddrFromAddrPort(at)) })
	if err == nil {
		err = c.SetDeadline(time.Now().Add(patience))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

// noBadChecksums says that no stack threw a packet away for what is in its headers.
func noBadChecksums(t testing.TB, ends ...*nettest.Namespace) {
	t.Helper()
	for _, ns := range ends {
		c := ns.Counters()
		if n := c.BadChecksums() + c["Ip.ReasmFails"] + c["Ip6ReasmFails"]; n != 0 {
			t.Errorf("%d packets were thrown away for their headers or fragments", n)
		}
	}
}

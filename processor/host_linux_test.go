package processor_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/nfqdrv"
	"github.com/weirnet/weir/internal/nettest"
	"github.com/weirnet/weir/processor"
)

// host is a processor over all packets of a namespace.
type host struct {
	t      testing.TB
	h      *divertdrv.Handle
	p      *processor.Processor
	cancel context.CancelFunc
	ended  chan error
}

// newHost starts one with a policy of these filters; finish must be called.
func newHost(t testing.TB, ns *nettest.Namespace, filters ...processor.Filter) *host {
	t.Helper()
	return newHostWith(t, ns, "true", divertdrv.Options{}, filters...)
}

// newHostWith is newHost with a handle of this filter and these options.
func newHostWith(t testing.TB, ns *nettest.Namespace, diverted string, o divertdrv.Options, filters ...processor.Filter) *host {
	t.Helper()
	o.Driver = nfqdrv.New(nfqdrv.Config{Namespace: fmt.Sprintf("/proc/self/fd/%d", ns.FD())})
	h, err := divertdrv.Open(diverted, divertdrv.Network, &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() }) // where the test ended early
	p, err := processor.New(processor.Config{Handles: []*divertdrv.Handle{h}, Policy: policy(t, filters...)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &host{t: t, h: h, p: p, cancel: cancel, ended: make(chan error, 1)}
	t.Cleanup(cancel)
	go func() { s.ended <- p.Run(ctx) }()
	return s
}

func policy(t testing.TB, filters ...processor.Filter) *processor.Policy {
	t.Helper()
	pol, err := processor.NewPolicy(nil, filters)
	if err != nil {
		t.Fatal(err)
	}
	return pol
}

func (s *host) apply(filters ...processor.Filter) {
	s.t.Helper()
	if _, err := s.p.Apply(policy(s.t, filters...)); err != nil {
		s.t.Fatal(err)
	}
}

// finish ends the processor and looks at the books.
func (s *host) finish() (divertdrv.Stats, processor.Stats) {
	s.t.Helper()
	s.cancel()
	if err := <-s.ended; err != nil {
		s.t.Error(err)
	}
	if err := s.h.Close(); err != nil {
		s.t.Error(err)
	}
	st, ps := s.h.Stats(), s.p.Stats()
	if err := st.Conserved(); err != nil {
		s.t.Error(err)
	}
	for _, j := range s.p.Injectors() {
		if in := j.Stats(); in.Injected != in.Completed+in.Failed || in.Failed+in.Pending != 0 {
			s.t.Errorf("injections %+v", in)
		}
	}
	if st.InBatch+st.Held+st.Lost != 0 || ps.Panics != 0 {
		s.t.Errorf("at the end: %+v, %+v", st, ps)
	}
	return st, ps
}

// families are both, by an address.
var families = map[string]netip.Addr{"IPv4": netip.IPv4Unspecified(), "IPv6": netip.IPv6Unspecified()}

func listenTCP(t testing.TB, at netip.AddrPort, ns *nettest.Namespace) *net.TCPListener {
	t.Helper()
	var l *net.TCPListener
	var err error
	ns.Do(func() { l, err = net.ListenTCP("tcp", net.TCPAddrFromAddrPort(at)) })
	if err == nil {
		err = l.SetDeadline(time.Now().Add(patience))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func dial(ns *nettest.Namespace, to net.Addr, limit time.Duration) (c net.Conn, err error) {
	ns.Do(func() { c, err = net.DialTimeout("tcp", to.String(), limit) })
	if err == nil {
		err = c.SetDeadline(time.Now().Add(patience))
	}
	return c, err
}

// connect opens a connection and returns both its ends.
func connect(t testing.TB, from *nettest.Namespace, l *net.TCPListener) (client, server net.Conn) {
	t.Helper()
	client, err := dial(from, l.Addr(), patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	server, err = l.Accept()
	if err == nil {
		err = server.SetDeadline(time.Now().Add(patience))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return client, server
}

package daemon_test

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/weirnet/weir/internal/daemon"
	"github.com/weirnet/weir/internal/nettest"
)

// The kernel's own packets run through a session like any others.
func TestLive(t *testing.T) {
	nettest.Need(t, nettest.Root)
	ns := nettest.NewNamespace(t)
	for _, backend := range []string{daemon.NFQueue, daemon.Auto} {
		var s *daemon.Session
		var err error
		ns.Do(func() {
			s, err = daemon.Open(daemon.Plan{
				Driver: daemon.Driver{Backend: backend}, Handles: everything(t), Count: 6, Timeout: time.Minute,
			}, daemon.NoLog())
		})
		if err != nil {
			t.Fatal(err)
		}
		over := make(chan int)
		go func() {
			n, _ := nettest.Ping(ns, netip.MustParseAddr("127.0.0.1"), nettest.Echo{Count: 5, Size: 56, Wait: 10 * time.Second})
			over <- n
		}()
		r, err := s.Run(context.Background())
		if err != nil || r.Received != 6 || r.Passed != 6 {
			t.Errorf("%s: %+v, %v; want 6 received and passed", backend, r, err)
		}
		if n := <-over; n != 5 {
			t.Errorf("%s: %d of 5 echoes came back", backend, n)
		}
	}
}

// A live driver reads no capture.
func TestLiveReadsNoCapture(t *testing.T) {
	s, err := daemon.Open(daemon.Plan{Driver: daemon.Driver{Backend: daemon.NFQueue, In: "x"}, Handles: everything(t)}, daemon.NoLog())
	if s != nil || err == nil || errors.Is(err, daemon.ErrNotYet) {
		t.Errorf("%v, %v", s, err)
	}
}

package netstack_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weirnet/weir/internal/clock"
	"github.com/weirnet/weir/internal/netstack"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var (
	near = netip.MustParseAddrPort("192.0.2.1:0")
	far  = netip.MustParseAddrPort("192.0.2.2:80")
	far6 = netip.MustParseAddrPort("[2001:db8::2]:80")
)

// pair is two hosts whose wire loses what lose says, by the packet's number in its direction.
func pair(t *testing.T, c clock.Clock, lose func(n int) bool) (a, b *netstack.Host) {
	t.Helper()
	host := func(name string, to **netstack.Host) *netstack.Host {
		n := 0
		h, err := netstack.New(netstack.Config{
			Addrs: []netip.Prefix{netip.MustParsePrefix("192.0.2." + name + "/24"), netip.MustParsePrefix("2001:db8::" + name + "/64")},
			Clock: c,
			Out: func(data []byte) {
				if n++; !lose(n) {
					(*to).In(data)
				}
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(h.Close)
		return h
	}
	a = host("1", &b)
	b = host("2", &a)
	return a, b
}

func never(int) bool { return false }

// serve answers each connection with what it was sent.
func serve(t *testing.T, h *netstack.Host, at netip.AddrPort) net.Listener {
	t.Helper()
	l, err := h.Listen(at)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				if !errors.Is(err, net.ErrClosed) {
					t.Errorf("Accept: %v", err)
				}
				return
			}
			go func() {
				_, _ = io.Copy(c, c)
				_ = c.Close()
			}()
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		_ = l.Close()
		<-done
	})
	return l
}

// exchange sends data and wants it back.
func exchange(t *testing.T, h *netstack.Host, to netip.AddrPort, data []byte) {
	t.Helper()
	c, err := h.Dial(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go func() {
		_, _ = c.Write(data)
		_ = c.(interface{ CloseWrite() error }).CloseWrite()
	}()
	back, err := io.ReadAll(c)
	if err != nil || sha256.Sum256(back) != sha256.Sum256(data) {
		t.Fatalf("%d bytes came back, want %d: %v", len(back), len(data), err)
	}
}

func random(n int) []byte {
	data := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(data)
	return data
}

// In real time, over both families.
func TestExchange(t *testing.T) {
	a, b := pair(t, nil, never)
	for _, to := range []netip.AddrPort{far, far6} {
		serve(t, b, to)
		exchange(t, a, to, random(300_000))
	}
	if st := a.Stats(); st.SegmentsOut < 200 || st.SegmentsIn < 200 || st.ChecksumErrors != 0 || st.NoRoom != 0 {
		t.Errorf("stats %+v", st)
	}
}

// One packet in five is lost: many seconds of retransmission timeouts on the virtual clock, and hardly any time on ours.
func TestLossOnAVirtualClock(t *testing.T) {
	start := time.Unix(1_000_000, 0)
	v := clock.NewVirtual(start)
	a, b := pair(t, v, func(n int) bool { return n%5 == 0 })
	t.Cleanup(netstack.Drive(v))
	serve(t, b, far)
	real := time.Now()
	exchange(t, a, far, random(300_000))
	st := a.Stats()
	if st.Retransmits == 0 {
		t.Errorf("stats %+v", st)
	}
	t.Logf("%v passed in %v, stats %+v", v.Now().Sub(start), time.Since(real), st)
}

func TestDamageIsFound(t *testing.T) {
	v := clock.NewVirtual(time.Unix(1_000_000, 0))
	var b *netstack.Host
	a, err := netstack.New(netstack.Config{Addrs: []netip.Prefix{netip.PrefixFrom(near.Addr(), 24)}, Clock: v, Out: func(data []byte) {
		data = bytes.Clone(data)
		data[len(data)-1] ^= 1
		b.In(data)
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	b, err = netstack.New(netstack.Config{Addrs: []netip.Prefix{netip.PrefixFrom(far.Addr(), 24)}, Clock: v, Out: a.In})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	defer netstack.Drive(v)()
	serve(t, b, far)
	if c, err := a.Dial(t.Context(), far); err == nil || c != nil {
		t.Errorf("Dial: %v, %v", c, err)
	}
	if st := b.Stats(); st.ChecksumErrors == 0 || st.SegmentsIn != 0 {
		t.Errorf("stats %+v", st)
	}
}

func TestErrors(t *testing.T) {
	a, b := pair(t, nil, never)
	if c, err := a.Dial(t.Context(), far); err == nil || c != nil {
		t.Errorf("Dial where nobody listens: %v, %v", c, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := a.Dial(ctx, far); !errors.Is(err, context.Canceled) {
		t.Errorf("Dial when cancelled: %v", err)
	}
	serve(t, b, far)
	if l, err := b.Listen(far); err == nil || l != nil {
		t.Errorf("Listen twice: %v, %v", l, err)
	}
	for _, data := range [][]byte{nil, {}, {0x45}, {0x60}, {0x12, 0x34}, make([]byte, 60)} {
		a.In(data)
	}
	if st := a.Stats(); st.ChecksumErrors != 0 {
		t.Errorf("stats %+v", st)
	}
	twice := netip.PrefixFrom(near.Addr(), 24)
	if h, err := netstack.New(netstack.Config{Addrs: []netip.Prefix{twice, twice}, Out: func([]byte) {}}); err == nil {
		h.Close()
		t.Error("New with an address twice: no error")
	}
}

// Close ends connections and, as TestMain sees, goroutines; Out is not called after it.
func TestClose(t *testing.T) {
	var closed atomic.Bool
	var late atomic.Int32
	var b *netstack.Host
	a, err := netstack.New(netstack.Config{Addrs: []netip.Prefix{netip.PrefixFrom(near.Addr(), 24)}, Out: func(data []byte) {
		if closed.Load() {
			late.Add(1)
		}
		b.In(data)
	}})
	if err != nil {
		t.Fatal(err)
	}
	b, err = netstack.New(netstack.Config{Addrs: []netip.Prefix{netip.PrefixFrom(far.Addr(), 24)}, Out: a.In})
	if err != nil {
		t.Fatal(err)
	}
	serve(t, b, far)
	c, err := a.Dial(t.Context(), far)
	if err != nil {
		t.Fatal(err)
	}
	a.Close()
	closed.Store(true)
	if _, err := c.Read(make([]byte, 1)); err == nil {
		t.Error("Read after Close: no error")
	}
	a.In([]byte{0x45})
	b.Close()
	a.Close()
	b.Close()
	if late.Load() != 0 {
		t.Errorf("%d packets left after Close", late.Load())
	}
}

// Drive with nothing to do waits for something, and ends at once.
func TestDriveIdle(t *testing.T) {
	v := clock.NewVirtual(time.Unix(0, 0))
	stop := netstack.Drive(v)
	defer stop()
	ran := make(chan struct{})
	v.AfterFunc(time.Hour, func() { close(ran) })
	<-ran
	if now := v.Now(); now.Sub(time.Unix(0, 0)) < time.Hour {
		t.Errorf("it is %v", now)
	}
}

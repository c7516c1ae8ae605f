package livetest

import (
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// flow is numbered datagrams from one end of a bench to the other, until it is stopped.
type flow struct {
	t        *testing.T
	from, to *net.UDPConn
	pause    time.Duration
	over     atomic.Bool
	sent     atomic.Uint32
	received atomic.Uint32 // distinct
	workers  sync.WaitGroup

	// valid after end
	duplicates, reordered int
}

const (
	flowBurst = 8                      // datagrams between two pauses
	flowQuiet = 500 * time.Millisecond // nothing comes for so long: nothing is on the way any more
)

// startFlow sends from here to there; pause 0 is as fast as the socket takes it.
func (b *bench) startFlow(pause time.Duration) *flow {
	b.t.Helper()
	f := &flow{t: b.t, pause: pause}
	var err error
	b.there.NS.Do(func() { f.to, err = net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(b.there.V4, 0))) })
	if err != nil {
		b.t.Fatal(err)
	}
	raw, err := f.to.SyscallConn()
	if err == nil {
		_ = raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20) })
	}
	if err != nil {
		b.t.Fatal(err)
	}
	b.here.NS.Do(func() { f.from, err = net.DialUDP("udp", nil, f.to.LocalAddr().(*net.UDPAddr)) })
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { f.end() })
	f.workers.Go(f.send)
	f.workers.Go(f.receive)
	return f
}

func (f *flow) send() {
	var b [64]byte
	for n := uint32(0); !f.over.Load(); n++ {
		binary.BigEndian.PutUint32(b[:], n)
		if _, err := f.from.Write(b[:]); err != nil {
			f.t.Errorf("datagram %d: %v", n, err)
			return
		}
		f.sent.Store(n + 1)
		if f.pause > 0 && n%flowBurst == flowBurst-1 {
			time.Sleep(f.pause)
		}
	}
}

func (f *flow) receive() {
	seen, top := map[uint32]bool{}, uint32(0)
	for b := make([]byte, 128); ; {
		wait := time.Now().Add(flowQuiet)
		if !f.over.Load() {
			wait = time.Now().Add(patience)
		}
		_ = f.to.SetReadDeadline(wait)
		if _, err := f.to.Read(b); err != nil {
			return
		}
		n := binary.BigEndian.Uint32(b)
		switch {
		case seen[n]:
			f.duplicates++
			continue
		case n < top:
			f.reordered++
		}
		seen[n], top = true, max(top, n)
		f.received.Add(1)
	}
}

// end stops sending, waits for what is on the way, and returns how many did not arrive.
func (f *flow) end() (lost int) {
	f.over.Store(true)
	_ = f.to.SetReadDeadline(time.Now().Add(flowQuiet)) // of a read that waits
	f.workers.Wait()
	_, _ = f.from.Close(), f.to.Close()
	return int(f.sent.Load()) - int(f.received.Load())
}

// arrive waits until n more arrived.
func (f *flow) arrive(n uint32) {
	f.t.Helper()
	want := f.received.Load() + n
	for until := time.Now().Add(patience); f.received.Load() < want; time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			f.t.Fatalf("%d of %d datagrams arrived within %v", f.received.Load(), want, patience)
		}
	}
}

// endWhole is end of a flow that must have arrived.
func (f *flow) endWhole() {
	f.t.Helper()
	lost := f.end()
	if lost != 0 || f.duplicates != 0 {
		f.t.Errorf("%d lost, %d duplicates", lost, f.duplicates)
	}
	f.t.Logf("%d sent, %d lost, %d duplicates, %d reordered", f.sent.Load(), lost, f.duplicates, f.reordered)
}

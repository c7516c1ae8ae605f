package nfqueue

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

const (
	payloadLen = 64 // bytes of a datagram's payload: 92 bytes with its headers
	ratePort   = 7
	// windowDefault is how many datagrams are on their way at once: enough for a program that is not woken at once, on a machine that
	// does other things too, and far less than its queue holds.
	windowDefault = 1024
	// lateMicros is how long a datagram may be on its way before it counts as lost.
	lateMicros = 500_000
)

// RateResult is what came of a closed loop.
type RateResult struct {
	Sent, Received, Lost, Reordered, Damaged uint64
	Elapsed                                  time.Duration
}

// PerSecond is the rate of datagrams that arrived.
func (r *RateResult) PerSecond() float64 { return float64(r.Received) / r.Elapsed.Seconds() }

// rate sends datagrams for some time, a window of them at once, and receives them at the other end, all in one thread: what it
// costs is the same whatever is between.
type rate struct {
	from, to int // sockets
	out, in  *burst
	next     uint64 // number of the next datagram
	top      uint64 // highest number that came, plus one
	window   int
	flying   int
	RateResult
}

func (l *lab) rate(ctx context.Context, d time.Duration, window int) (RateResult, error) {
	r, err := l.newRate(window)
	if err != nil {
		return RateResult{}, err
	}
	defer r.close()
	if err := r.warm(); err != nil {
		return RateResult{}, err
	}
	start := time.Now()
	for ctx.Err() == nil && time.Since(start) < d {
		if err := r.round(); err != nil {
			return r.RateResult, err
		}
	}
	if err := r.settle(); err != nil {
		return r.RateResult, err
	}
	r.Elapsed = time.Since(start)
	return r.RateResult, ctx.Err()
}

func (l *lab) newRate(window int) (r *rate, err error) {
	to := netip.AddrPortFrom(l.at.server, ratePort)
	r = &rate{window: window, out: newBurst(), in: newBurst()}
	if r.to, err = udpSocket(l.server, to, lateMicros); err != nil {
		return nil, err
	}
	if r.from, err = udpSocket(l.client, netip.AddrPortFrom(l.at.client, ratePort), lateMicros); err != nil {
		_ = unix.Close(r.to)
		return nil, err
	}
	if err := connect(r.from, to); err != nil {
		r.close()
		return nil, err
	}
	return r, nil
}

func (r *rate) close() {
	_ = unix.Close(r.from)
	_ = unix.Close(r.to)
}

// warm sends a window ahead of what counts: addresses are resolved then, and caches warm.
func (r *rate) warm() error {
	err := errors.Join(r.round(), r.settle())
	r.RateResult = RateResult{}
	return err
}

// settle waits for all that is on its way.
func (r *rate) settle() error {
	for r.flying > 0 {
		if err := r.gather(true); err != nil {
			return err
		}
	}
	return nil
}

// round sends as many as the window has room for, and takes what came. It waits only when the window is full.
func (r *rate) round() error {
	n := min(burstMax, r.window-r.flying)
	for i := range n {
		binary.NativeEndian.PutUint64(r.out.data[i][:], r.next+uint64(i))
		binary.NativeEndian.PutUint64(r.out.data[i][payloadLen-8:], ^(r.next + uint64(i)))
	}
	sent, err := r.out.send(r.from, n)
	if err != nil {
		return fmt.Errorf("send datagrams: %w", err)
	}
	r.next += uint64(sent)
	r.Sent += uint64(sent)
	r.flying += sent
	return r.gather(r.flying == r.window)
}

// gather takes what came; if it waited in vain, what is on its way is lost.
func (r *rate) gather(wait bool) error {
	n, err := r.in.receive(r.to, wait)
	if err != nil {
		return fmt.Errorf("receive datagrams: %w", err)
	}
	if n == 0 && wait {
		r.Lost += uint64(r.flying)
		r.flying = 0
	}
	for i := range n {
		r.take(r.in.data[i][:r.in.msgs[i].n])
	}
	return nil
}

func (r *rate) take(b []byte) {
	if len(b) != payloadLen || binary.NativeEndian.Uint64(b) != ^binary.NativeEndian.Uint64(b[payloadLen-8:]) {
		r.Damaged++ // and lost, when it was waited for
		return
	}
	number := binary.NativeEndian.Uint64(b)
	if r.flying == 0 { // it was given up
		r.Lost--
		r.flying++
	}
	r.flying--
	r.Received++
	if number < r.top {
		r.Reordered++
	}
	r.top = max(r.top, number+1)
}

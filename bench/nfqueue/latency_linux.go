package nfqueue

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/bench"
)

const (
	latencyPort  = 9
	latencyEvery = 250 * time.Microsecond // between two requests
)

// LatencyResult has the round trips that were measured.
type LatencyResult struct {
	Trips *bench.Latency // each from when it was due
	Began *bench.Latency // each from when it began
	Lost  uint64         // requests without an answer
}

func newLatencyResult() LatencyResult {
	return LatencyResult{Trips: bench.NewLatency(), Began: bench.NewLatency()}
}

// trips are requests and answers that one thread sends and receives at both ends, so that only the way between takes time.
type trips struct {
	client, server int // sockets
	number         uint64
	b              [payloadLen]byte
	LatencyResult
}

// latency measures round trips at an even pace. A request that could not be sent when it was due, since the one before took so
// long, is counted from when it was due: a program that stalls does not hide it from those that would have come. The caller has put
// this thread and the program under test on one processor.
func (l *lab) latency(ctx context.Context, d time.Duration) (LatencyResult, error) {
	t, err := l.newTrips()
	if err != nil {
		return LatencyResult{}, err
	}
	defer t.close()
	for range 32 { // addresses are resolved, caches are warm
		if err := t.trip(time.Now()); err != nil {
			return LatencyResult{}, err
		}
	}
	t.LatencyResult = newLatencyResult()
	start, pace := time.Now(), bench.NewPace(latencyEvery)
	for ctx.Err() == nil && time.Since(start) < d {
		due, now := pace.Due()
		if !now {
			continue // a thread that slept would have to be woken: that is not what is measured
		}
		if err := t.trip(due); err != nil {
			return t.LatencyResult, err
		}
	}
	return t.LatencyResult, ctx.Err()
}

func (l *lab) newTrips() (t *trips, err error) {
	client, server := netip.AddrPortFrom(l.at.client, latencyPort), netip.AddrPortFrom(l.at.server, latencyPort)
	t = &trips{LatencyResult: newLatencyResult()}
	if t.server, err = udpSocket(l.server, server, lateMicros); err != nil {
		return nil, err
	}
	if t.client, err = udpSocket(l.client, client, lateMicros); err != nil {
		_ = unix.Close(t.server)
		return nil, err
	}
	for fd, to := range map[int]netip.AddrPort{t.client: server, t.server: client} {
		if err := connect(fd, to); err != nil {
			t.close()
			return nil, err
		}
	}
	return t, nil
}

func (t *trips) close() {
	_ = unix.Close(t.client)
	_ = unix.Close(t.server)
}

// trip sends a request, answers it, and counts the time since it was due.
func (t *trips) trip(due time.Time) error {
	t.number++
	began := time.Now()
	for _, way := range [][2]int{{t.client, t.server}, {t.server, t.client}} {
		binary.NativeEndian.PutUint64(t.b[:], t.number)
		if err := retry(func() error { return unix.Send(way[0], t.b[:], 0) }); err != nil {
			return fmt.Errorf("send a datagram: %w", err)
		}
		if arrived, err := t.await(way[1]); err != nil || !arrived {
			t.Lost++
			return err
		}
	}
	now := time.Now()
	t.Trips.Record(now.Sub(due))
	t.Began.Record(now.Sub(began))
	return nil
}

// await takes the datagram with the current number, and throws older ones away.
func (t *trips) await(fd int) (bool, error) {
	for {
		var n int
		err := retry(func() (err error) { n, err = unix.Read(fd, t.b[:]); return err })
		switch {
		case errors.Is(err, unix.EAGAIN):
			return false, nil
		case err != nil:
			return false, fmt.Errorf("receive a datagram: %w", err)
		case n == payloadLen && binary.NativeEndian.Uint64(t.b[:]) == t.number:
			return true, nil
		}
	}
}

func retry(f func() error) error {
	for {
		if err := f(); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

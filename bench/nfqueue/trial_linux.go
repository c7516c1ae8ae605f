package nfqueue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/weirnet/weir/bench"
)

const (
	headerLen  = 28   // bytes of IPv4 and UDP before the payload
	headerLen6 = 48   // the same of IPv6
	segmentLen = 1448 // bytes of payload in a TCP segment with time stamps, at an MTU of 1500

	latencyWithout = 4 // that part of a run's time is spent to learn what a round trip takes without the program

	// FloodRate is how many datagrams a second a flood offers.
	FloodRate = 200_000
)

// trial is a contestant in its lab. Its program is started anew for each run, so that no run has what another one left.
type trial struct {
	measure
	contestant
	lab     *lab
	program *program // nil: there is none
	time    time.Duration
	without time.Duration         // a round trip without the program
	tally   func() (Tally, error) // ends the program
}

// run takes the measure once.
func (t *trial) run(ctx context.Context, d time.Duration) (s bench.Sample, err error) {
	t.time, s.Loss = d, map[string]uint64{}
	back, err := t.settle(ctx, d)
	if err != nil {
		return s, err
	}
	defer back()
	t.tally = t.end
	defer func() {
		tally, ended := t.tally()
		err = errors.Join(err, ended)
		for cause, n := range tally.Lost {
			s.Loss[causeProgram+cause] += n
		}
	}()
	err = t.take(ctx, t, &s)
	if err != nil && t.peer && ctx.Err() == nil { // it must not end what all others do
		return bench.Sample{Loss: map[string]uint64{causeProgram + "it failed: " + err.Error(): 1}}, nil
	}
	return s, err
}

// settle begins the program. Where round trips are measured, that is on the processor of this thread, or on another one, and what they
// take without it is measured first.
func (t *trial) settle(ctx context.Context, d time.Duration) (back func(), err error) {
	if t.name != MeasureLatency && t.name != MeasureApart {
		t.program, err = t.begun(ctx)
		return func() {}, err
	}
	if back, err = stayOnLast(); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			back()
		}
	}()
	r, err := t.lab.latency(ctx, d/latencyWithout)
	if err != nil {
		return back, err
	}
	t.without = r.Began.Percentile(50)
	if t.name == MeasureApart {
		return back, t.beginApart(ctx)
	}
	t.program, err = t.begun(ctx) // it inherits the processor
	return back, err
}

// beginApart begins the program on the first processor.
func (t *trial) beginApart(ctx context.Context) error {
	back, err := stayOn(0)
	if err != nil {
		return err
	}
	defer back()
	t.program, err = t.begun(ctx)
	return err
}

func (t *trial) begun(ctx context.Context) (*program, error) {
	if t.argv == nil {
		return nil, nil
	}
	return t.start(ctx, t.lab.router)
}

// end ends the program, once.
func (t *trial) end() (Tally, error) {
	t.tally = func() (Tally, error) { return Tally{}, nil }
	if t.program == nil {
		return Tally{}, nil
	}
	tally, err := t.program.stop()
	if err != nil && t.peer { // what it measured stands, and it must not end what all others do
		return Tally{Lost: map[string]uint64{"it failed: " + err.Error(): 1}}, nil
	}
	return tally, err
}

// watch measures what the program uses of the processors while f runs.
func (t *trial) watch(s *bench.Sample, f func() error) error {
	if t.program == nil {
		return f()
	}
	before, err := cpuOf(t.program.pid())
	if err != nil {
		return err
	}
	if err := f(); err != nil {
		return err
	}
	after, err := cpuOf(t.program.pid())
	if err != nil {
		return err
	}
	c := after.since(before)
	s.CPU, s.User, s.System = c.total, c.user, c.system
	return nil
}

// length is a datagram's with its headers.
func (t *trial) length() uint64 {
	if t.lab.at.six() {
		return payloadLen + headerLen6
	}
	return payloadLen + headerLen
}

func takeRate(ctx context.Context, t *trial, s *bench.Sample) error {
	return t.watch(s, func() error {
		r, err := t.lab.rate(ctx, t.time, cmp.Or(t.window, windowDefault))
		if r.Sent != r.Received+r.Lost {
			err = errors.Join(err, fmt.Errorf("sent %d, but %d arrived and %d did not", r.Sent, r.Received, r.Lost))
		}
		s.Ops, s.Packets, s.Bytes, s.Elapsed = r.Received, r.Received, r.Received*t.length(), r.Elapsed
		s.Loss["on the way"], s.Loss["damaged"] = r.Lost, r.Damaged
		s.Extra = map[string]float64{"reordered": float64(r.Reordered)}
		return err
	})
}

func takeTCP(ctx context.Context, t *trial, s *bench.Sample) error {
	return t.watch(s, func() error {
		r, err := t.lab.tcp(ctx, t.time)
		s.Ops, s.Bytes, s.Elapsed = r.Bytes/segmentLen, r.Bytes, r.Elapsed
		return err
	})
}

// takeLatency also measures the way without the program, just before: what the program adds is the difference.
func takeLatency(ctx context.Context, t *trial, s *bench.Sample) error {
	return t.watch(s, func() error {
		r, err := t.lab.latency(ctx, t.time)
		s.Ops, s.Elapsed = uint64(r.Trips.Count()), t.time
		s.Latency = r.Trips
		s.Loss["on the way"] = r.Lost
		trip := float64(r.Began.Percentile(50))
		s.Extra = map[string]float64{TripTime: trip, AddedTime: max(trip-float64(t.without), 1)}
		return err
	})
}

func takeFlood(ctx context.Context, t *trial, s *bench.Sample) error {
	var r FloodResult
	err := t.watch(s, func() (err error) {
		r, err = t.lab.flood(ctx, t.time, FloodRate)
		return err
	})
	tally, ended := t.tally() // what it says that it lost
	if err := errors.Join(err, ended); err != nil {
		return err
	}
	r.settle(tally.Lost)
	s.Ops, s.Packets, s.Bytes, s.Elapsed = r.Arrived, r.Arrived, r.Arrived*t.length(), r.Elapsed
	s.Loss = r.Lost
	s.Extra = map[string]float64{
		ArrivedShare: float64(r.Arrived) / float64(max(r.Offered, 1)), "offered/s": r.PerSecond(), LostInUserSpace: float64(r.inUserSpace()) / float64(max(r.Offered, 1)),
	}
	return nil
}

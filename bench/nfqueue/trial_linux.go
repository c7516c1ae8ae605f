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
	segmentLen = 1448 // bytes of payload in a TCP segment with time stamps, at an MTU of 1500

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
	tally   func() (Tally, error) // ends the program
}

// run takes the measure once.
func (t *trial) run(ctx context.Context, d time.Duration) (s bench.Sample, err error) {
	t.time = d
	if t.name == MeasureLatency { // the program inherits the processor
		back, err := stayOnLast()
		if err != nil {
			return s, err
		}
		defer back()
	}
	if t.program, err = t.begun(ctx); err != nil {
		return s, err
	}
	t.tally = t.end
	defer func() {
		_, ended := t.tally()
		err = errors.Join(err, ended)
	}()
	err = t.take(ctx, t, &s)
	return s, err
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
	return t.program.stop()
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

func takeRate(ctx context.Context, t *trial, s *bench.Sample) error {
	return t.watch(s, func() error {
		r, err := t.lab.rate(ctx, t.time, cmp.Or(t.window, windowDefault))
		if r.Sent != r.Received+r.Lost {
			err = errors.Join(err, fmt.Errorf("sent %d, but %d arrived and %d did not", r.Sent, r.Received, r.Lost))
		}
		s.Ops, s.Packets, s.Bytes, s.Elapsed = r.Received, r.Received, r.Received*(payloadLen+headerLen), r.Elapsed
		s.Loss = map[string]uint64{"on the way": r.Lost, "damaged": r.Damaged}
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

func takeLatency(ctx context.Context, t *trial, s *bench.Sample) error {
	return t.watch(s, func() error {
		r, err := t.lab.latency(ctx, t.time)
		s.Ops, s.Elapsed = uint64(r.Trips.Count()), t.time
		s.Latency = r.Trips
		s.Extra = map[string]float64{tripTime: float64(r.Began.Percentile(50))}
		s.Loss = map[string]uint64{"on the way": r.Lost}
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
	s.Ops, s.Packets, s.Bytes, s.Elapsed = r.Arrived, r.Arrived, r.Arrived*(payloadLen+headerLen), r.Elapsed
	s.Loss = r.Lost
	s.Extra = map[string]float64{
		arrivedShare: float64(r.Arrived) / float64(max(r.Offered, 1)), "offered/s": r.PerSecond(), "user-space-lost": float64(r.inUserSpace()),
	}
	return nil
}

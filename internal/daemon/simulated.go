package daemon

import (
	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/pcapdrv"
	"github.com/weirnet/weir/divertdrv/simdrv"
)

// simulated is the backend that makes traffic.
type simulated struct {
	*simdrv.Stack
	total int64
	out   *output // nil: what leaves is gone
}

func openSimulated(d *Driver, fail func(error)) (*simulated, error) {
	s := &simulated{total: max(int64(d.Packets), 0)}
	leaves := func(*divertdrv.Address, []byte) {}
	if d.Out != "" {
		var err error
		if s.out, err = createOutput(d.Out, fail); err != nil {
			return nil, err
		}
		leaves = func(a *divertdrv.Address, data []byte) { s.out.write(a, data, len(data)) }
	}
	s.Stack = simdrv.New(simdrv.Config{Source: simdrv.NewTraffic(d.Seed, d.Packets), OnWire: leaves, OnHost: leaves})
	return s, nil
}

func (s *simulated) progress() Progress {
	return Progress{Done: int64(s.Stats().Entered), Total: s.total}
}

func (s *simulated) interrupt()              {}
func (s *simulated) forgive(err error) error { return err }
func (s *simulated) capture() *pcapdrv.Stats { return nil }

func (s *simulated) close() error {
	s.Close()
	return s.out.close()
}

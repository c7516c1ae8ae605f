package daemon

import (
	"errors"
	"os"
	"sync/atomic"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/pcapdrv"
	"github.com/weirnet/weir/divertdrv/simdrv"
)

// simulated is the backend that makes traffic.
type simulated struct {
	*simdrv.Stack
	total  int64
	file   *os.File
	writer *pcapdrv.Writer // nil: what leaves is gone
	fail   func(error)
	last   int64 // time of the packet that left last
	ended  atomic.Bool
}

func openSimulated(d *Driver, fail func(error)) (*simulated, error) {
	if d.In != "" {
		return nil, errors.New("driver sim makes its packets itself; a capture is read by driver pcap")
	}
	s := &simulated{fail: fail, total: max(int64(d.Packets), 0)}
	if d.Out != "" {
		if err := s.create(d.Out); err != nil {
			return nil, err
		}
	}
	s.Stack = simdrv.New(simdrv.Config{Source: simdrv.NewTraffic(d.Seed, d.Packets), OnWire: s.write, OnHost: s.write})
	return s, nil
}

func (s *simulated) create(path string) (err error) {
	if s.file, err = os.Create(path); err != nil {
		return err
	}
	if s.writer, err = pcapdrv.NewWriter(s.file); err != nil {
		return errors.Join(err, s.file.Close())
	}
	return nil
}

// write records a packet that leaves the stack. The stack's calls do not overlap.
func (s *simulated) write(a *divertdrv.Address, data []byte) {
	if s.writer == nil {
		return
	}
	r := pcapdrv.Record{Time: a.Timestamp, Data: data, WireLen: len(data), Link: pcapdrv.LinkRaw, Direction: pcapdrv.Inbound}
	if a.Outbound() {
		r.Direction = pcapdrv.Outbound
	}
	if r.Time == 0 { // injected, with an Address of its own
		r.Time = s.last
	}
	s.last = r.Time
	if err := s.writer.Write(r); err != nil && !s.ended.Swap(true) {
		s.fail(err)
	}
}

func (s *simulated) progress() Progress {
	return Progress{Done: int64(s.Stats().Entered), Total: s.total}
}

func (s *simulated) interrupt()              {}
func (s *simulated) forgive(err error) error { return err }
func (s *simulated) capture() *pcapdrv.Stats { return nil }

func (s *simulated) close() error {
	s.Close()
	if s.writer == nil {
		return nil
	}
	err := s.writer.Flush()
	if s.ended.Load() {
		err = nil // it has been told
	}
	return errors.Join(err, s.file.Close())
}

package scenarios

import (
	"context"
	"errors"
	"fmt"

	"github.com/weirnet/weir/bench"
	"github.com/weirnet/weir/bench/memdrv"
	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/processor"
)

// engine is a processor on the driver that costs least: all of what an embedder gets, from Recv to Complete.
type engine struct {
	drv    *memdrv.Driver
	handle *divertdrv.Handle
	proc   *processor.Processor
	ended  chan error
}

// newEngine starts a processor; its config gets the handle.
func newEngine(text string, mem memdrv.Config, cfg processor.Config) (*engine, error) {
	e := &engine{drv: memdrv.New(mem), ended: make(chan error, 1)}
	h, err := divertdrv.Open(text, divertdrv.Network, &divertdrv.Options{Driver: e.drv})
	if err != nil {
		return nil, err
	}
	e.handle = h
	cfg.Handles = []*divertdrv.Handle{h}
	if e.proc, err = processor.New(cfg); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	go func() { e.ended <- e.proc.Run(context.Background()) }()
	return e, nil
}

// do leads n packets through.
func (e *engine) do(n int) error { return e.drv.Do(n) }

// close ends the processor and asserts that no packet was lost.
func (e *engine) close() error {
	err := e.handle.Shutdown(divertdrv.ShutdownRecv)
	err = errors.Join(err, <-e.ended)
	s := e.handle.Stats()
	if s.Held+s.InBatch != 0 {
		err = errors.Join(err, fmt.Errorf("%d packets held and %d in a batch at the end", s.Held, s.InBatch))
	}
	return errors.Join(err, s.Conserved(), e.handle.Close())
}

// fail ends what was started for a variant that then cannot run.
func (e *engine) fail(err error) (bench.Trial, error) {
	return bench.Trial{}, errors.Join(err, e.close())
}

// reader is the driver without a processor: what a handle costs by itself.
type reader struct {
	drv    *memdrv.Driver
	handle *divertdrv.Handle
	ended  chan error
}

func newReader(text string, mem memdrv.Config) (*reader, error) {
	r := &reader{drv: memdrv.New(mem), ended: make(chan error, 1)}
	h, err := divertdrv.Open(text, divertdrv.Network, &divertdrv.Options{Driver: r.drv})
	if err != nil {
		return nil, err
	}
	r.handle = h
	go func() { r.ended <- passAll(h) }()
	return r, nil
}

func (r *reader) close() error {
	err := r.handle.Shutdown(divertdrv.ShutdownRecv)
	err = errors.Join(err, <-r.ended)
	s := r.handle.Stats()
	return errors.Join(err, s.Conserved(), r.handle.Close())
}

// passAll passes what a handle gives until it ends.
func passAll(h *divertdrv.Handle) error {
	b := divertdrv.NewBatch(64, 64*2048)
	for {
		if err := h.Recv(b); err != nil {
			if errors.Is(err, divertdrv.ErrShutdown) || errors.Is(err, divertdrv.ErrClosed) {
				return nil
			}
			return err
		}
		for i := range b.Packets() {
			b.Packets()[i].Set(divertdrv.Pass, 0)
		}
		if err := h.Complete(b); err != nil {
			return err
		}
	}
}

// outbound is the address of packets that the host sends, as memdrv gives it: one for all of them.
func outbound() *divertdrv.Address {
	var a divertdrv.Address
	a.SetOutbound(true)
	a.SetIPChecksum(true)
	a.SetTCPChecksum(true)
	a.SetUDPChecksum(true)
	return &a
}

// inTurn gives packets again and again.
func inTurn(a *divertdrv.Address, ring [][]byte) func() (*divertdrv.Address, []byte) {
	at := 0
	return func() (*divertdrv.Address, []byte) {
		if at++; at == len(ring) {
			at = 0
		}
		return a, ring[at]
	}
}

package nfqueue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/nfqdrv"
	"github.com/weirnet/weir/processor"
)

// spinTime is a little more than lies between two round trips.
const spinTime = 300 * time.Microsecond

// The size of the handle loop's batches.
const (
	handleBatch = 128
	handleBytes = 4 << 20
)

// Divert diverts what the forward hook of this namespace sees and a filter matches, passes all of it, and is the program under test:
// it says "ready" to out, and its Tally when ctx ends.
func Divert(ctx context.Context, loop Loop, filter string, out io.Writer) error {
	var c nfqdrv.Config
	if loop == SpinLoop {
		c.Spin = spinTime
	}
	h, err := divertdrv.Open(filter, divertdrv.NetworkForward, &divertdrv.Options{Driver: nfqdrv.New(c), CutThrough: loop == JudgeLoop})
	if err != nil {
		return err
	}
	if err := roomy(h); err != nil {
		return errors.Join(err, h.Close())
	}
	run := map[Loop]func(context.Context, *divertdrv.Handle) error{HandleLoop: passAll, SpinLoop: passAll, ProcessorLoop: processAll, JudgeLoop: judgeAll}[loop]
	if _, err := fmt.Fprintln(out, readyLine); err != nil {
		return errors.Join(err, h.Close())
	}
	if err := errors.Join(run(ctx, h), h.Close()); err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(tally(h.Stats()))
}

// roomy gives the handle's queue the most that its parameters allow, as peers get.
func roomy(h *divertdrv.Handle) error {
	for _, p := range []divertdrv.Param{addr.QueueLength, addr.QueueSize, addr.QueueTime} {
		_, most, _, _ := p.Range()
		if err := h.SetParam(p, most); err != nil {
			return err
		}
	}
	return nil
}

// passAll is the bare loop over a handle.
func passAll(ctx context.Context, h *divertdrv.Handle) error {
	return passEach(ctx, h, func([]divertdrv.Packet) error { return nil })
}

// passEach passes batches after they were looked at.
func passEach(ctx context.Context, h *divertdrv.Handle, look func([]divertdrv.Packet) error) error {
	stop := context.AfterFunc(ctx, func() { _ = h.Shutdown(divertdrv.ShutdownRecv) }) // Recv tells
	defer stop()
	b := divertdrv.NewBatch(handleBatch, handleBytes)
	for {
		if err := h.Recv(b); errors.Is(err, divertdrv.ErrShutdown) {
			return nil
		} else if err != nil {
			return err
		}
		err := look(b.Packets())
		for i := range b.Packets() {
			b.Packets()[i].Set(divertdrv.Pass, 0)
		}
		if err := errors.Join(err, h.Complete(b)); err != nil {
			return err
		}
	}
}

// processAll is the processor without a filter: what no filter decides is permitted.
func processAll(ctx context.Context, h *divertdrv.Handle) error {
	p, err := processor.New(processor.Config{Handles: []*divertdrv.Handle{h}})
	if err != nil {
		return err
	}
	return p.Run(ctx)
}

// tally is a handle's books. Where they do not agree it says so.
func tally(s divertdrv.Stats) Tally {
	t := Tally{Received: s.Received, Passed: s.Passed, Lost: map[string]uint64{}}
	for i := range s.LostBy {
		if n := s.LostBy[i] + s.Dropped[i]; n > 0 {
			t.Lost[divertdrv.Cause(i).String()] = n
		}
	}
	err := s.Conserved()
	if err == nil && s.Held+s.InBatch != 0 {
		err = fmt.Errorf("%d packets are held and %d in a batch after the end", s.Held, s.InBatch)
	}
	if err != nil {
		t.Broken = err.Error()
	}
	return t
}

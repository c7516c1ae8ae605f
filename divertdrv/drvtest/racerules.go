package drvtest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/reason"
)

var raceRules = []Rule{
	{"race/everything-at-once", "divertdrv.Handle, from any goroutine", nil, raceEverything},
	{"race/a-recv-that-waits-keeps-nobody-waiting", "divertdrv.Handle, from any goroutine", nil, raceWaiting},
	{"race/shutdown-and-close", "divertdrv.Handle, from any goroutine", nil, raceEnds},
}

const (
	raceSenders = 2
	racePackets = 150 // of each sender
	raceInjects = 60
)

// worker is one of the goroutines that use handles at once.
type worker struct {
	*probe
	stop atomic.Bool
	errs chan error
}

// start runs f until it returns; what it returns fails the rule.
func (w *worker) start(all *sync.WaitGroup, what string, f func() error) {
	all.Go(func() {
		defer func() {
			if v := recover(); v != nil {
				w.errs <- fmt.Errorf("%s panicked: %v", what, v)
			}
		}()
		if err := f(); err != nil {
			w.errs <- fmt.Errorf("%s: %w", what, err)
		}
	})
}

// read receives until the handle ends, and does to each packet what chance says.
func (w *worker) read(h *handle, seed uint64) error {
	rng := rand.New(rand.NewPCG(seed, 1))
	for b := divertdrv.NewBatch(1+int(seed%7), 1<<15); ; {
		if err := h.Recv(b); err != nil {
			return ended(err)
		}
		for i := range b.Packets() {
			w.judge(b, i, rng)
		}
		if err := h.Complete(b); ended(err) != nil {
			return err
		}
	}
}

func (w *worker) judge(b *divertdrv.Batch, i int, rng *rand.Rand) {
	pk := &b.Packets()[i]
	switch n := rng.IntN(20); {
	case n == 0:
		pk.Set(divertdrv.Drop, reason.Filter)
	case n == 1 && w.w.Caps.Modify:
		pk.Edit()[len(pk.Data)-1]++
		pk.Set(divertdrv.Pass, 0)
	case n < 5:
		hd, err := b.Hold(i, time.Duration(rng.IntN(20))*time.Millisecond, divertdrv.Mark(n&1))
		if err == nil && n == 4 {
			_ = hd.Release(divertdrv.Pass, 0) // or its deadline was faster
		}
	default:
		pk.Set(divertdrv.Pass, 0)
	}
}

// ended takes the errors of a handle's end for what they are.
func ended(err error) error {
	for _, end := range []error{divertdrv.ErrClosed, divertdrv.ErrShutdown} {
		if errors.Is(err, end) {
			return nil
		}
	}
	return err
}

// sendRow is a program that sends packets of its own numbers.
func (w *worker) sendRow(way Way, first, packets int) error {
	for n := range packets {
		s := spec{way: way, n: first + n, ipv6: n%3 == 0}
		if err := w.w.Network.Send(s.way, w.w.build(s)); err != nil {
			return err
		}
		w.mu.Lock()
		w.entered++
		w.mu.Unlock()
	}
	return nil
}

func (w *worker) injectRow(h *handle) error {
	for n := range raceInjects {
		pk := w.free(spec{n: raceSenders*racePackets + n})
		if _, err := h.Inject([]divertdrv.Packet{*pk}); ended(err) != nil {
			return err
		}
	}
	return nil
}

// turn sets the length of a queue to what it is.
func (w *worker) turn(h *handle) error {
	if !w.has[needQueueLength] {
		return nil
	}
	v, err := h.Param(addr.QueueLength)
	if err == nil {
		err = h.SetParam(addr.QueueLength, v)
	}
	return ended(err)
}

// watch reads the books and turns the knobs all the time.
func (w *worker) watch(handles ...*handle) error {
	for !w.stop.Load() {
		for _, h := range handles {
			st := h.Stats()
			if err := st.Conserved(); err != nil {
				return err
			}
			if err := w.turn(h); err != nil {
				return err
			}
		}
		if w.w.Advance != nil {
			w.w.Advance(time.Millisecond)
		}
		time.Sleep(100 * time.Microsecond)
	}
	return nil
}

// A driver that waits for packets under its lock would stop all others here.
func raceWaiting(p *probe) {
	h, other := p.open(1, 0), p.open(0, 0)
	p.send(1)
	b := newBatch()
	p.fill(h, b)
	passAll(b, 0, 1)
	done := make(chan error, 1)
	next := newBatch()
	go func() { done <- h.Recv(next) }()
	p.letBlock()
	p.isErr("Complete", p.within("Complete", func() error { return h.Complete(b) }), nil)
	p.pass(other, 1)
	p.isErr("the rest", p.within("Stats, Param and Open", func() error {
		st := h.Stats()
		_, err := h.Param(addr.QueueLength)
		if !p.has[needQueueLength] {
			err = nil
		}
		return errors.Join(st.Conserved(), err, p.try("false", divertdrv.Network, divertdrv.Options{}))
	}), nil)
	p.hasLeft(1)
	p.sendAs(spec{n: 2})
	p.isErr("Recv", p.await("Recv", done), nil)
	passAll(next, 0, 2)
	p.complete(h, next)
	p.rest(other, 2)
	p.hasLeft(2)
}

// Senders, readers that pass, drop, change and hold, injections, deadlines, and ends in the middle of it all. No packet comes
// out twice, and the books of the whole network are right (see probe.finish).
func raceEverything(p *probe) {
	w := &worker{probe: p, errs: make(chan error, 100)}
	high, low := p.open(1, 0), p.open(0, 0)
	all := []*handle{high, low}
	if p.has[needSniff] {
		all = append(all, p.open(2, divertdrv.Sniff))
	}
	var senders, readers, watchers sync.WaitGroup
	for i := range raceSenders {
		way := Outbound
		if i%2 == 1 && p.w.can(Inbound) {
			way = Inbound
		}
		w.start(&senders, "a sender", func() error { return w.sendRow(way, i*racePackets, racePackets) })
	}
	if p.has[needInject] {
		w.start(&senders, "an injector", func() error { return w.injectRow(high) })
	}
	for i, h := range all {
		w.start(&readers, "a reader", func() error { return w.read(h, uint64(i)) })
	}
	p.Cleanup(func() { w.stop.Store(true) })
	w.start(&watchers, "a watcher", func() error { return w.watch(all...) })
	p.isErr("sending", p.within("sending", func() error { senders.Wait(); return nil }), nil)
	w.end(&readers, all...)
	w.stop.Store(true)
	p.isErr("watching", p.within("watching", func() error { watchers.Wait(); return nil }), nil)
	close(w.errs)
	for err := range w.errs {
		p.Errorf("%v", err)
	}
	p.gather()
	p.noneTwice()
}

// end shuts down and closes the handles, all at the same time.
func (w *worker) end(readers *sync.WaitGroup, handles ...*handle) {
	w.Helper()
	for _, h := range handles {
		w.start(readers, "Shutdown", func() error { return h.Shutdown(divertdrv.ShutdownBoth) })
		w.start(readers, "Close", h.Close)
	}
	w.isErr("the end", w.within("the end of all handles", func() error { readers.Wait(); return nil }), nil)
}

func (p *probe) noneTwice() {
	p.Helper()
	var numbers []int
	for _, a := range p.arrived {
		n, _ := number(a.Data)
		numbers = append(numbers, n)
	}
	slices.Sort(numbers)
	if once := slices.Compact(slices.Clone(numbers)); len(once) != len(numbers) {
		p.Errorf("%d packets came out twice", len(numbers)-len(once))
	}
}

// Every pair of ends, while readers wait and packets come.
func raceEnds(p *probe) {
	for round := range 12 {
		w := &worker{probe: p, errs: make(chan error, 100)}
		h := p.open(int16(round), 0)
		var all sync.WaitGroup
		w.start(&all, "a reader", func() error { return w.read(h, uint64(round)) })
		w.start(&all, "a sender", func() error {
			return w.sendRow(p.way, round*20, 20)
		})
		for i := range 3 {
			w.start(&all, "Shutdown", func() error { return h.Shutdown(divertdrv.Shutdown(1 + (round+i)%3)) })
		}
		w.start(&all, "Close", h.Close)
		w.start(&all, "Close", h.Close)
		p.isErr("the end", p.within("the end", func() error { all.Wait(); return nil }), nil)
		close(w.errs)
		for err := range w.errs {
			p.Errorf("%v", err)
		}
	}
	p.gather()
	p.noneTwice()
}

package simdrv

import (
	"encoding/binary"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/internal/clock"
	"github.com/weirnet/weir/internal/netstack"
)

var (
	nearAddr = netip.MustParsePrefix("10.0.0.1/24")
	farAddr  = netip.MustParsePrefix("10.0.0.2/24")

	service           = netip.AddrPortFrom(farAddr.Addr(), 80)   // what clients connect to
	translatedService = netip.AddrPortFrom(farAddr.Addr(), 8080) // where it is
)

// world is two hosts with a TCP each, handles on both, and a bad wire between them, all on one virtual clock.
//
//	near ── a: hold ▶ delay ▶ translate, mask ──▶ wire ──▶ b: unmask ── far      and back through the same
type world struct {
	t         *testing.T
	clock     *clock.Virtual
	near, far *netstack.Host
	a, b      *Stack
	link      *Link

	handles                    []worker // all on a but the last
	delays                     delayer
	held, translated, unmasked atomic.Uint64

	listener  net.Listener
	serving   sync.WaitGroup
	stopClock func()
}

func newWorld(t *testing.T, seed uint64) *world {
	w := &world{t: t, clock: clock.NewVirtual(pipeStart)}
	w.delays = delayer{clock: w.clock, rng: rand.New(rand.NewPCG(seed, 2))}
	w.a = New(Config{Clock: w.clock, OnHost: func(_ *divertdrv.Address, data []byte) { w.near.In(data) }})
	w.b = New(Config{Clock: w.clock, OnHost: func(_ *divertdrv.Address, data []byte) { w.far.In(data) }})
	var err error
	w.link, err = Join(Port{Stack: w.a}, Port{Stack: w.b}, PipeConfig{Clock: w.clock, Delay: time.Millisecond, Faults: Faults{
		Seed: seed, Drop: 0.05, Duplicate: 0.05, Reorder: 0.1, Delay: 0.02, Corrupt: 0.01, Truncate: 0.005, DelayMax: 5 * time.Millisecond,
	}})
	must(t, err)
	w.near = w.host(nearAddr, w.a)
	w.far = w.host(farAddr, w.b)
	luck := rand.New(rand.NewPCG(seed, 1))
	w.work(open(t, w.a, "tcp", divertdrv.Options{Priority: 30}), func(b *divertdrv.Batch, i int) { w.holdSome(luck, b, i) })
	w.work(open(t, w.a, "tcp", divertdrv.Options{Priority: 20}), w.delays.some)
	w.work(open(t, w.a, "tcp", divertdrv.Options{Priority: 10}), w.translate)
	w.work(open(t, w.b, "tcp", divertdrv.Options{}), func(b *divertdrv.Batch, i int) { w.unmasked.Add(mask(&b.Packets()[i])) })
	w.stopClock = netstack.Drive(w.clock)
	return w
}

func (w *world) host(at netip.Prefix, s *Stack) *netstack.Host {
	h, err := netstack.New(netstack.Config{Addrs: []netip.Prefix{at}, Clock: w.clock, Out: func(data []byte) {
		if err := s.Send(data); err != nil {
			w.t.Errorf("Send: %v", err)
		}
	}})
	must(w.t, err)
	return h
}

// worker judges what a handle receives until that is shut down.
type worker struct {
	h    *divertdrv.Handle
	done chan struct{}
}

// work starts a worker. What act does not hold passes. Workers are started from the highest handle to the lowest.
func (w *world) work(h *divertdrv.Handle, act func(b *divertdrv.Batch, i int)) {
	must(w.t, h.SetParam(addr.QueueTime, 16_000)) // the longest: nothing is to be lost here, however a machine's time runs
	k := worker{h, make(chan struct{})}
	w.handles = append(w.handles, k)
	go func() {
		defer close(k.done)
		for b := divertdrv.NewBatch(64, 1<<18); h.Recv(b) == nil; {
			for i := range b.Packets() {
				b.Packets()[i].Set(divertdrv.Pass, 0)
				act(b, i)
			}
			if err := h.Complete(b); err != nil {
				w.t.Errorf("Complete: %v", err)
			}
		}
	}()
}

// holdSome holds a packet in eight until its deadline, which lets it pass.
func (w *world) holdSome(luck *rand.Rand, b *divertdrv.Batch, i int) {
	if luck.IntN(8) != 0 {
		return
	}
	if _, err := b.Hold(i, time.Duration(1+luck.IntN(5000))*time.Microsecond, divertdrv.Pass); err != nil {
		w.t.Errorf("Hold: %v", err)
		return
	}
	w.held.Add(1)
}

// delayer holds a packet in eight and releases those that it has together, in another order.
type delayer struct {
	clock *clock.Virtual

	mu    sync.Mutex // guards all below
	rng   *rand.Rand
	has   []*divertdrv.Held
	total int
}

func (d *delayer) some(b *divertdrv.Batch, i int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.rng.IntN(8) != 0 {
		return
	}
	hd, err := b.Hold(i, 0, divertdrv.Pass)
	if err != nil {
		return // it passes
	}
	d.total++
	if d.has = append(d.has, hd); len(d.has) == 1 {
		d.clock.AfterFunc(3*time.Millisecond, d.release)
	}
}

func (d *delayer) release() {
	d.mu.Lock()
	all := d.has
	d.has = nil
	d.rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	d.mu.Unlock()
	for _, hd := range all {
		_ = hd.Release(divertdrv.Pass, 0) // ErrReleased: Close was faster
	}
}

// translate forwards the service's port to where it is and back, takes one off the TTL, masks what is sent and unmasks what is
// received.
func (w *world) translate(b *divertdrv.Batch, i int) {
	p := &b.Packets()[i]
	h := p.Headers()
	at, from, to := h.TransportOff+2, service.Port(), translatedService.Port() // the destination's port
	if !p.Addr.Outbound() {
		at, from, to = h.TransportOff, to, from // the source's
	}
	if binary.BigEndian.Uint16(p.Data[at:]) == from {
		data := p.Edit()
		binary.BigEndian.PutUint16(data[at:], to)
		data[8]-- // TTL
		w.translated.Add(1)
	}
	mask(p)
}

// mask flips every bit of the payload, and returns 1 if there is any. Twice is not at all.
func mask(p *divertdrv.Packet) uint64 {
	h := p.Headers()
	if h.PayloadLen() == 0 {
		return 0
	}
	payload := p.Edit()[h.PayloadOff:][:h.PayloadLen()]
	for i := range payload {
		payload[i] ^= 0xff
	}
	return 1
}

// close ends it from the ends to the middle. What is still in a handle goes its way.
func (w *world) close() {
	w.near.Close()
	w.far.Close()
	must(w.t, w.listener.Close())
	w.serving.Wait()
	for _, k := range w.handles {
		must(w.t, k.h.Shutdown(divertdrv.ShutdownRecv))
		<-k.done
		must(w.t, k.h.Close())
	}
	w.stopClock()
	w.link.Close()
}

// accounts asserts that the transfers went through everything, and that every packet is accounted for.
func (w *world) accounts(transfers int) {
	t := w.t
	settled(t, w.a, w.handles[0].h, w.handles[1].h, w.handles[2].h)
	settled(t, w.b, w.handles[3].h)
	for _, p := range []*Pipe{w.link.There, w.link.Back} {
		st := p.Stats()
		if lawful(t, p); st.UnderWay != 0 || st.Dropped == 0 || st.Duplicated == 0 || st.Reordered == 0 || st.Corrupted == 0 {
			t.Errorf("wire %+v", st)
		}
	}
	if st := w.near.Stats(); st.Retransmits == 0 || st.ChecksumErrors == 0 || st.NoRoom != 0 {
		t.Errorf("client %+v", st)
	}
	held, delayed := w.held.Load(), uint64(w.delays.total)
	for what, n := range map[string]uint64{"held": held, "delayed": delayed, "translated": w.translated.Load(), "unmasked": w.unmasked.Load()} {
		if n < uint64(transfers) {
			t.Errorf("%d packets %s by handles, in %d transfers", n, what, transfers)
		}
	}
	for _, k := range w.handles {
		st := k.h.Stats()
		if st.Passed != st.Received || st.Lost != 0 || st.Held+st.InBatch != 0 || st.Received < 10*uint64(transfers) {
			t.Errorf("priority %d: %+v", k.h.Options().Priority, st)
		}
	}
}

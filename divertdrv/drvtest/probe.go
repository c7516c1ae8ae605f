package drvtest

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/weirnet/weir/divertdrv"
)

const defaultPatience = 10 * time.Second

// probe is one rule at work: a World, the handles that the rule opened, and the books of the whole network.
type probe struct {
	T
	w        *World
	has      abilities
	patience time.Duration
	layer    divertdrv.Layer // of open
	way      Way             // of send
	handles  []*handle
	arrived  []Arrival // what left since the rule last asked

	mu      sync.Mutex // guards entered
	entered int        // packets that the Network took

	left  int  // packets of the suite that came out
	loose bool // packets are split or joined on their way, so their number says nothing
}

// handle is one that the rule opened.
type handle struct {
	*divertdrv.Handle
	copies bool // opened with Sniff: what it drops went on
	events bool // it receives no packets of the network
}

// newWorld asks the driver's test for a World and fills in what it left open.
func newWorld(t T, s *Setup) *World {
	w := s.New(t)
	if w.IPv4 == (Hosts{}) {
		w.IPv4 = documentation4
	}
	if w.IPv6 == (Hosts{}) {
		w.IPv6 = documentation6
	}
	return w
}

func newProbe(t T, s *Setup, has abilities) *probe {
	p := &probe{T: t, w: newWorld(t, s), has: has, patience: s.Patience}
	if p.patience <= 0 {
		p.patience = defaultPatience
	}
	t.Cleanup(p.finish)
	return p
}

// finish closes what is open and looks at the books.
func (p *probe) finish() {
	for _, h := range p.handles {
		if err := p.within("Close", h.Close); err != nil {
			p.Errorf("Close: %v", err)
		}
	}
	p.gather()
	var dropped, lost, completed uint64
	for _, h := range p.handles {
		st := h.Stats()
		if err := st.Conserved(); err != nil {
			p.Errorf("conservation: %v", err)
		}
		if st.InBatch+st.Held != 0 {
			p.Errorf("after Close %d packets are in batches and %d held", st.InBatch, st.Held)
		}
		completed += st.Completed
		if !h.copies && !h.events {
			dropped += st.DroppedTotal()
			lost += st.Lost
		}
	}
	p.mu.Lock() // senders of a rule that has failed may go on
	defer p.mu.Unlock()
	in, out := uint64(p.entered)+completed, uint64(p.left)+dropped+lost
	if p.w.Caps.LossCounted && !p.loose && in != out {
		p.Errorf("conservation: %d packets came and %d were injected, but %d left, %d were dropped and %d lost: the sum is off by %d",
			p.entered, completed, p.left, dropped, lost, int64(out-in))
	}
}

// within calls what may block and fails the rule if it does not return. A panic is an error.
func (p *probe) within(what string, f func() error) error {
	p.Helper()
	done := make(chan error, 1)
	go func() {
		defer func() {
			if v := recover(); v != nil {
				done <- fmt.Errorf("%s panicked: %v", what, v)
			}
		}()
		done <- f()
	}()
	return p.await(what, done)
}

// await waits for a call that was started.
func (p *probe) await(what string, done <-chan error) error {
	p.Helper()
	late := time.NewTimer(p.patience)
	defer late.Stop()
	select {
	case err := <-done:
		return err
	case <-late.C:
		p.Fatalf("%s did not return within %v", what, p.patience)
		return nil
	}
}

// open opens a handle for all packets of the suite, at Network unless the rule is asked elsewhere.
func (p *probe) open(priority int16, flags divertdrv.Flags) *handle {
	p.Helper()
	return p.openAt(filterAll, p.layer, divertdrv.Options{Priority: priority, Flags: flags})
}

func (p *probe) openAt(filter string, l divertdrv.Layer, o divertdrv.Options) *handle {
	p.Helper()
	o.Driver = p.w.Driver
	h, err := divertdrv.Open(filter, l, &o)
	if err != nil {
		p.Fatalf("open %q at layer %v with %+v: %v", filter, l, o, err)
	}
	p.handles = append(p.handles, &handle{h, o.Flags&divertdrv.Sniff != 0, l > divertdrv.NetworkForward})
	return p.handles[len(p.handles)-1]
}

// send puts packets of those numbers on their way, outbound unless the rule is asked elsewhere, and waits until they are where
// they go.
func (p *probe) send(numbers ...int) {
	p.Helper()
	for _, n := range numbers {
		p.sendAs(spec{n: n, way: p.way})
	}
	p.w.Network.Settle()
}

// sendAs sends one packet, does not wait, and returns it.
func (p *probe) sendAs(s spec) []byte {
	p.Helper()
	data := p.w.build(s)
	p.sendBytes(s.way, data)
	return data
}

func (p *probe) sendBytes(w Way, data []byte) {
	p.Helper()
	if err := p.w.Network.Send(w, data); err != nil {
		p.Fatalf("the network cannot send %d bytes %v: %v", len(data), w, err)
	}
	p.mu.Lock()
	p.entered++
	p.mu.Unlock()
}

// gather notes what left.
func (p *probe) gather() {
	p.w.Network.Settle()
	for _, a := range p.w.Network.Left() {
		if _, ours := number(a.Data); ours || p.loose {
			p.left++
			p.arrived = append(p.arrived, a)
		}
	}
}

// hasLeft checks that since the rule last asked exactly packets of these numbers left, in this order, and returns them.
func (p *probe) hasLeft(want ...int) []Arrival {
	p.Helper()
	p.gather()
	out := p.arrived
	p.arrived = nil
	got := make([]int, len(out))
	for i, a := range out {
		got[i], _ = number(a.Data)
	}
	if !slices.Equal(got, want) {
		p.Fatalf("packets %v left, want %v", got, want)
	}
	return out
}

// advance lets time pass for the driver.
func (p *probe) advance(d time.Duration) {
	if p.w.Advance != nil {
		p.w.Advance(d)
		return
	}
	time.Sleep(d)
}

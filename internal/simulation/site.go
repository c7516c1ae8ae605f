package simulation

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/inject"
	"github.com/weirnet/weir/processor"
)

// site is one host of a world, with what runs on it.
type site struct {
	world *World
	name  string
	at    int
	own   [2]netip.Addr // IPv4, IPv6
	peer  [2]netip.Addr

	sim       *simdrv.Stack
	faulty    *simdrv.FaultyDriver
	gate      *gate
	handles   []*divertdrv.Handle
	processor *processor.Processor // nil: this host has none
	beside    *inject.Injector     // over a handle that only sends
	running   bool
	result    chan error

	mayDie, mayRefuse, dead bool

	order    order
	pended   []*processor.Held // by callouts, not yet released; may be released by their deadline
	accepted uint64            // injections that must complete, and did
	done     uint64
	panics   uint64 // of callouts
	inline   uint64 // TCP that was refused inline
}

func newSite(w *World, at int, c settling) *site {
	s := &site{world: w, at: at, name: []string{"alpha", "beta"}[at], result: make(chan error, 1)}
	s.own = [2]netip.Addr{own4, own6}
	s.peer = [2]netip.Addr{netip.MustParseAddr("198.51.100.10"), netip.MustParseAddr("2001:db8:2::10")}
	if at == 1 {
		s.own, s.peer = s.peer, s.own
	}
	s.sim = simdrv.New(simdrv.Config{
		Clock: c, MTU: mtu, HoldMax: 2 + w.rng.IntN(40), Offload: w.rng.IntN(4) == 0, HeaderAlign: []int{0, 8}[w.rng.IntN(2)], ProcessID: processID,
		Interfaces: []simdrv.Interface{{IfIdx: 4, Addrs: []netip.Prefix{netip.PrefixFrom(s.own[0], 24), netip.PrefixFrom(s.own[1], 64)}}},
		OnWire:     s.left("wire"), OnHost: s.left("host"),
	})
	f := simdrv.DriverFaults{Seed: w.seed ^ uint64(at+1)<<32}
	if s.mayRefuse = w.rng.IntN(3) == 0; s.mayRefuse {
		f.Refuse = 0.05
	}
	if s.mayDie = w.rng.IntN(5) == 0; s.mayDie {
		f.DieAfter = 1 + w.rng.IntN(150)
	}
	probe := &probe{Driver: s.sim}
	inner := divertdrv.Driver(probe)
	if w.options.Wrap != nil {
		inner = w.options.Wrap(inner)
	}
	s.faulty = simdrv.WithFaults(inner, f)
	s.gate = &gate{Driver: s.faulty, probe: probe}
	return s
}

// start opens handles, and runs a processor over them: always at the first host, at the other in half of the worlds.
func (s *site) start() {
	w := s.world
	if s.at == 1 && w.rng.IntN(2) == 0 {
		return
	}
	n := 1 + w.rng.IntN(3)
	for range n {
		s.open(&divertdrv.Options{Priority: int16(w.rng.IntN(5) - 2)}, []string{"true", "true", "tcp", "udp", "inbound", "outbound"}[w.rng.IntN(6)])
	}
	beside := s.open(&divertdrv.Options{Priority: int16(w.rng.IntN(5) - 2), Flags: divertdrv.SendOnly}, "true")
	if w.result.Err != nil {
		return
	}
	jobs := 4 + w.rng.IntN(40)
	var err, other error
	s.beside, other = inject.New(beside, inject.Config{})
	s.processor, err = processor.New(processor.Config{
		Handles: s.handles[:n], Policy: s.policy(), Batch: 1 + w.rng.IntN(12), Jobs: jobs, Flows: 2 * jobs, Settle: true,
	})
	if err = errors.Join(err, other); err != nil {
		w.fail("%s: %v", s.name, err)
		return
	}
	go func() { s.result <- s.processor.Run(context.Background()) }()
	for _, c := range s.gate.conns[:n] {
		<-c.stands
	}
	s.gate.conns[n].ended = true // nobody reads it
	s.running = true
}

func (s *site) open(o *divertdrv.Options, filter string) *divertdrv.Handle {
	o.Driver = s.gate
	h, err := divertdrv.Open(filter, divertdrv.Network, o)
	if err != nil {
		s.world.fail("%s: %v", s.name, err)
		return nil
	}
	s.world.note("%s opens %q, priority %d, flags %v", s.name, filter, o.Priority, o.Flags)
	s.handles = append(s.handles, h)
	return h
}

// shape draws a packet to the other host.
func (s *site) shape(number uint32) shape {
	d := s.world.rng
	x := outward(d, number)
	f := d.IntN(2)
	x.src, x.dst, x.size, x.ttl = s.own[f], s.peer[f], 4+d.IntN(80), 64
	return x
}

// send is the host that sends some packets.
func (s *site) send(n int) {
	for range n {
		data := s.shape(s.world.next()).bytes()
		var a divertdrv.Address
		a.SetOutbound(true)
		s.world.saw(s.name+" sends", &a, data)
		s.order.entered(true, data)
		s.world.result.Counts.Sent++
		if err := s.sim.Send(data); err != nil {
			s.world.fail("%s: send: %v", s.name, err)
		}
	}
}

// arrive is the end of the wire at this host.
func (s *site) arrive(data []byte) error {
	var a divertdrv.Address
	s.world.saw(s.name+" receives", &a, data)
	s.order.entered(false, data)
	return s.sim.Receive(bytes.Clone(data))
}

// left is where packets go at the end of their walk: up, or by the wire to the other host.
func (s *site) left(where string) func(*divertdrv.Address, []byte) {
	return func(a *divertdrv.Address, data []byte) {
		w := s.world
		w.saw(s.name+" to the "+where, a, data)
		w.result.Counts.Left++
		if err := s.order.exits(a.Outbound(), data); err != nil {
			w.fail("%s: %v", s.name, err)
		}
		if where == "wire" {
			w.pipes[1-s.at].Send(data)
		}
	}
}

// injectBeside injects through a handle that does nothing else.
func (s *site) injectBeside() {
	if s.beside == nil {
		return
	}
	x := s.shape(s.world.next())
	in := inject.Injection{Path: inject.Send, IfIdx: 4}
	if s.world.rng.IntN(2) == 0 {
		x, in.Path = x.swap(), inject.Receive
	}
	in.Packet = divertdrv.NewPacket(addr.Address{}, x.bytes())
	_ = s.inject("beside", in, func(in inject.Injection) error { return s.beside.Inject(nil, in) })
}

// inject counts completions: one for each injection that was accepted, none for the others.
func (s *site) inject(how string, in inject.Injection, by func(inject.Injection) error) error {
	calls := 0
	in.Done = func(err error) {
		s.done++
		if calls++; calls > 1 || err != nil {
			s.world.fail("%s: completion %d of an injection: %v", s.name, calls, err)
		}
	}
	what := title(in.Packet.Data)
	err := by(in)
	s.world.note("%s injects %s, %v: %s: %v", s.name, how, in.Path, what, err)
	switch {
	case err == nil:
		s.accepted++
		s.world.result.Counts.Injected++
	case calls > 0:
		s.world.fail("%s: an injection failed and completed: %v", s.name, err)
	case isFault(err), s.dead, died(err), errors.Is(err, inject.ErrInlineTCPInjection):
	default:
		s.world.fail("%s: inject: %v", s.name, err)
	}
	return err
}

// releaseOne releases one of the packets that callouts hold; false: there is none.
func (s *site) releaseOne() bool {
	if len(s.pended) == 0 {
		return false
	}
	i := s.world.rng.IntN(len(s.pended))
	hd := s.pended[i]
	s.pended = append(s.pended[:i], s.pended[i+1:]...)
	m := divertdrv.Mark(s.world.rng.IntN(2))
	err := hd.Release(m, 0)
	s.world.settle() // first: what waited behind it is on its way in another goroutine
	s.world.note("%s released a held packet, %v: %v", s.name, m, err)
	return true
}

func (s *site) swapPolicy() {
	if s.processor == nil {
		return
	}
	if _, err := s.processor.Apply(s.policy()); err != nil {
		s.world.fail("%s: apply: %v", s.name, err)
	}
	s.world.result.Counts.Policies++
}

// crash is the driver's death, rarely.
func (s *site) crash() {
	if s.world.rng.IntN(30) > 0 || s.dead {
		return
	}
	s.world.note("%s: the driver crashes", s.name)
	s.mayDie, s.dead = true, true
	s.faulty.Die()
}

// join waits for Run when its last reader has read the end.
func (s *site) join() {
	if !s.running {
		return
	}
	for _, c := range s.gate.conns {
		if !c.ended {
			return
		}
	}
	s.running = false
	switch err := <-s.result; {
	case err == nil:
	case s.mayDie && died(err):
		s.world.result.Counts.Deaths++
	default:
		s.world.fail("%s: run: %v", s.name, err)
	}
}

// stop closes what runs here, and looks at the laws of the host.
func (s *site) stop() {
	w := s.world
	if s.processor != nil {
		for _, h := range s.handles {
			if err := h.Close(); err != nil {
				w.fail("%s: close: %v", s.name, err)
			}
		}
		if err := s.beside.Close(time.Second); err != nil {
			w.fail("%s: %v", s.name, err)
		}
		s.counts()
	}
	s.sim.Close()
	s.law()
}

package simulation

import (
	"slices"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
)

// A mutant is a driver with one fault that the contract does not allow, and how many programs may pass before it is found.
type mutant struct {
	name   string
	within int
	does   changes
}

// changes are what a mutant does otherwise; nil: as the driver inside.
type changes struct {
	options  func(o *divertdrv.Options)
	filter   func(f *divertdrv.Filter) *divertdrv.Filter
	recv     func(c divertdrv.Conn, b *divertdrv.Batch) error
	complete func(c divertdrv.Conn, b *divertdrv.Batch) error
	release  func(c divertdrv.Conn, token uint64, m divertdrv.Mark, p *divertdrv.Packet) error
	inject   func(c divertdrv.Conn, p []divertdrv.Packet) (int, error)
	setParam func(c divertdrv.Conn, p divertdrv.Param, v uint64) error
	shutdown func(c divertdrv.Conn, how divertdrv.Shutdown) error
	stats    func(s divertdrv.Stats) divertdrv.Stats
}

var mutants = []mutant{
	{"loses a packet that is injected", 100, changes{inject: func(c divertdrv.Conn, p []divertdrv.Packet) (int, error) {
		n, err := c.Inject(p[:len(p)-1])
		if err == nil {
			n++
		}
		return n, err
	}}},
	{"loses a packet that is released", 300, changes{release: func(c divertdrv.Conn, token uint64, _ divertdrv.Mark, p *divertdrv.Packet) error {
		return c.Release(token, divertdrv.Drop, p)
	}}},
	{"lets go on what is dropped from a hold", 300, changes{release: func(c divertdrv.Conn, token uint64, _ divertdrv.Mark, p *divertdrv.Packet) error {
		return c.Release(token, divertdrv.Pass, p)
	}}},
	{"loses the last packet of a batch that passes", 300, changes{complete: func(c divertdrv.Conn, b *divertdrv.Batch) error {
		if n := b.Len(); n > 1 {
			if m, _ := b.Outcome(n - 1); m == divertdrv.Pass {
				b.Packets()[n-1].Set(divertdrv.Drop, 0)
			}
		}
		return c.Complete(b)
	}}},
	{"lets a packet pass twice", 300, changes{complete: func(c divertdrv.Conn, b *divertdrv.Batch) error {
		for i := range b.Packets() {
			if m, _ := b.Outcome(i); m == divertdrv.Pass {
				_, _ = c.Inject([]divertdrv.Packet{*b.Packets()[i].Clone()})
				break
			}
		}
		return c.Complete(b)
	}}},
	{"injects twice", 100, changes{inject: func(c divertdrv.Conn, p []divertdrv.Packet) (int, error) {
		_, _ = c.Inject(p[:1])
		return c.Inject(p)
	}}},
	{"passes in the wrong order", 300, changes{complete: func(c divertdrv.Conn, b *divertdrv.Batch) error {
		if p := b.Packets(); len(p) > 1 && !b.IsHeld(0) && !b.IsHeld(1) {
			p[0].Data, p[1].Data = p[1].Data, p[0].Data
			*p[0].Addr, *p[1].Addr = *p[1].Addr, *p[0].Addr
		}
		return c.Complete(b)
	}}},
	{"receives in the wrong order", 300, changes{recv: func(c divertdrv.Conn, b *divertdrv.Batch) error {
		err := c.Recv(b)
		if p := b.Packets(); len(p) > 1 && len(p[0].Data) == len(p[1].Data) {
			for i, was := range p[0].Data {
				p[0].Data[i], p[1].Data[i] = p[1].Data[i], was
			}
			*p[0].Addr, *p[1].Addr = *p[1].Addr, *p[0].Addr
		}
		return err
	}}},
	{"takes lower priorities for higher ones", 300, changes{options: func(o *divertdrv.Options) { o.Priority = -o.Priority }}},
	{"knows two priorities only", 1000, changes{options: func(o *divertdrv.Options) { o.Priority = min(o.Priority, 1) }}},
	{"takes a copy for the packet", 300, changes{options: func(o *divertdrv.Options) { o.Flags &^= divertdrv.Sniff }}},
	{"lets one inject that may not", 1000, changes{options: func(o *divertdrv.Options) { o.Flags &^= divertdrv.RecvOnly }}},
	{"shows fragments to nobody", 1000, changes{options: func(o *divertdrv.Options) { o.Flags &^= divertdrv.Fragments }}},
	{"sheds the newest", 300, changes{options: func(o *divertdrv.Options) { o.Overload = divertdrv.OverloadClosed }}},
	{"takes what the filter refuses", 100, changes{filter: func(f *divertdrv.Filter) *divertdrv.Filter { return programs[f.Layer()][0] }}},
	{"changes a byte", 100, changes{recv: func(c divertdrv.Conn, b *divertdrv.Batch) error {
		err := c.Recv(b)
		if err == nil {
			data := b.Packets()[0].Data
			data[len(data)-1]++
		}
		return err
	}}},
	{"forgets an Address", 300, changes{recv: func(c divertdrv.Conn, b *divertdrv.Batch) error {
		err := c.Recv(b)
		if err == nil {
			b.Packets()[0].Addr.SetImpostor(false)
		}
		return err
	}}},
	{"has a shorter queue than it says", 1000, changes{setParam: func(c divertdrv.Conn, p divertdrv.Param, v uint64) error {
		if p == addr.QueueTime {
			return c.SetParam(p, max(v/2, 100)) // the floor holds; above it, half
		}
		if p == addr.QueueLength && v == 32 {
			v++
		}
		return c.SetParam(p, v)
	}}},
	{"goes on receiving when it was shut down", 1000, changes{shutdown: func(c divertdrv.Conn, how divertdrv.Shutdown) error {
		if how == divertdrv.ShutdownSend {
			return c.Shutdown(how)
		}
		return nil
	}}},
	{"goes on sending when it was shut down", 1000, changes{shutdown: func(c divertdrv.Conn, how divertdrv.Shutdown) error {
		if how&divertdrv.ShutdownRecv == 0 {
			return nil
		}
		return c.Shutdown(divertdrv.ShutdownRecv)
	}}},
	{"counts no losses", 300, changes{stats: func(s divertdrv.Stats) divertdrv.Stats {
		s.Lost, s.LostBy = 0, [len(s.LostBy)]uint64{}
		return s
	}}},
	{"counts what it dropped by itself twice", 300, changes{stats: func(s divertdrv.Stats) divertdrv.Stats {
		s.Add(divertdrv.Stats{Received: s.Received, Dropped: s.Dropped})
		return s
	}}},
	{"takes a loss for another", 300, changes{stats: func(s divertdrv.Stats) divertdrv.Stats {
		s.LostBy[0], s.LostBy[1] = s.LostBy[1], s.LostBy[0]
		slices.Reverse(s.LostBy[:])
		return s
	}}},
}

type mutantDriver struct {
	divertdrv.Driver
	does changes
}

func (d mutantDriver) Open(f *divertdrv.Filter, l divertdrv.Layer, o *divertdrv.Options) (divertdrv.Conn, error) {
	changed := *o
	if d.does.options != nil && l != divertdrv.LayerReflect {
		d.does.options(&changed)
	}
	if d.does.filter != nil {
		f = d.does.filter(f)
	}
	c, err := d.Driver.Open(f, l, &changed)
	if err != nil {
		return nil, err
	}
	return mutantConn{wrapped{c}, d.does}, nil
}

type mutantConn struct {
	wrapped
	does changes
}

func (c mutantConn) Recv(b *divertdrv.Batch) error {
	if c.does.recv != nil {
		return c.does.recv(c.Conn, b)
	}
	return c.Conn.Recv(b)
}

func (c mutantConn) Complete(b *divertdrv.Batch) error {
	if c.does.complete != nil {
		return c.does.complete(c.Conn, b)
	}
	return c.Conn.Complete(b)
}

func (c mutantConn) Release(token uint64, m divertdrv.Mark, p *divertdrv.Packet) error {
	if c.does.release != nil {
		return c.does.release(c.Conn, token, m, p)
	}
	return c.Conn.Release(token, m, p)
}

func (c mutantConn) Inject(p []divertdrv.Packet) (int, error) {
	if c.does.inject != nil {
		return c.does.inject(c.Conn, p)
	}
	return c.Conn.Inject(p)
}

func (c mutantConn) SetParam(p divertdrv.Param, v uint64) error {
	if c.does.setParam != nil {
		return c.does.setParam(c.Conn, p, v)
	}
	return c.Conn.SetParam(p, v)
}

func (c mutantConn) Shutdown(how divertdrv.Shutdown) error {
	if c.does.shutdown != nil {
		return c.does.shutdown(c.Conn, how)
	}
	return c.Conn.Shutdown(how)
}

func (c mutantConn) Stats() divertdrv.Stats {
	if c.does.stats != nil {
		return c.does.stats(c.Conn.Stats())
	}
	return c.Conn.Stats()
}

// TestMutantsAreFound: the model notices each of the faults within so many programs, and what is left of one after shrinking
// breaks the contract too.
func TestMutantsAreFound(t *testing.T) {
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			o := Options{Wrap: func(d divertdrv.Driver) divertdrv.Driver { return mutantDriver{d, m.does} }}
			for seed := uint64(1); seed <= uint64(m.within); seed++ {
				p := Generate(seed)
				if Run(p, o).Err == nil {
					continue
				}
				small := Shrink(p, o)
				r := Run(small, o)
				if r.Err == nil {
					t.Fatalf("seed %d breaks the contract with %d operations, and not with the %d that are left", seed, len(p.Ops), len(small.Ops))
				}
				t.Logf("found by program %d of %d; %d operations of %d are enough", seed, m.within, len(small.Ops), len(p.Ops))
				return
			}
			t.Errorf("%d programs do not find it", m.within)
		})
	}
}

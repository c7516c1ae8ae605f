package daemon

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"pgregory.net/rapid"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/filter"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/processor/policy"
)

// mortal is a driver whose handles can be made to die.
type mortal struct {
	divertdrv.Driver
	mu     sync.Mutex // guards all below
	dead   bool       // nothing opens
	opened int
	conns  []*mortalConn
}

type mortalConn struct {
	divertdrv.Conn
	died atomic.Bool
}

// Unwrap is what died.
func (c *mortalConn) Unwrap() divertdrv.Conn { return c.Conn }

var errDied = errors.New("the driver is gone")

func (m *mortal) Open(f *divertdrv.Filter, l divertdrv.Layer, o *divertdrv.Options) (divertdrv.Conn, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.dead {
		return nil, errDied
	}
	c, err := m.Driver.Open(f, l, o)
	if err != nil {
		return nil, err
	}
	m.opened++
	mc := &mortalConn{Conn: c}
	m.conns = append(m.conns, mc)
	return mc, nil
}

func (c *mortalConn) Recv(b *divertdrv.Batch) error {
	err := c.Conn.Recv(b)
	if err != nil && c.died.Load() {
		return errDied
	}
	return err
}

func (c *mortalConn) Complete(b *divertdrv.Batch) error {
	if c.died.Load() {
		return errDied
	}
	return c.Conn.Complete(b)
}

// kill has all handles die, and none open until revive.
func (m *mortal) kill() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dead = true
	for _, c := range m.conns {
		c.died.Store(true)
		_ = c.Conn.Shutdown(divertdrv.ShutdownRecv) // wakes who waits
	}
	m.conns = nil
}

func (m *mortal) revive() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.dead = false
}

// bed is one handle over a swapper over the simulator, with a reader that holds some packets for a while.
type bed struct {
	stack  *simdrv.Stack
	driver *mortal
	s      *swapper
	h      *divertdrv.Handle
	deaths atomic.Int32
	out    atomic.Int64 // packets that left the stack
	over   chan struct{}
	err    error

	mu   sync.Mutex // guards held
	held []*divertdrv.Held
}

func newBed(t rapidT, reopens bool) *bed {
	b := &bed{over: make(chan struct{})}
	count := func(*divertdrv.Address, []byte) { b.out.Add(1) }
	b.stack = simdrv.New(simdrv.Config{OnWire: count, OnHost: count})
	b.driver = &mortal{Driver: b.stack}
	b.s = &swapper{driver: b.driver, reopens: reopens}
	b.s.died = func(*swapConn, error) { b.deaths.Add(1) }
	var err error
	b.h, err = divertdrv.OpenProgram(everythingFilter(), &divertdrv.Options{Driver: bedDriver{b}})
	if err != nil {
		t.Fatal(err)
	}
	go b.read()
	return b
}

type rapidT interface{ Fatal(args ...any) }

type bedDriver struct{ b *bed }

func (bedDriver) Name() string { return "bed" }

func (d bedDriver) Open(f *divertdrv.Filter, l divertdrv.Layer, _ *divertdrv.Options) (divertdrv.Conn, error) {
	return d.b.s.add(l, &policy.Handle{Filter: f})
}

func everythingFilter() *filter.Program {
	p, err := filter.Parse("true", divertdrv.Network)
	if err != nil {
		panic(err) // "true" is a filter
	}
	return p
}

// read passes packets, and holds every seventh.
func (b *bed) read() {
	defer close(b.over)
	batch := divertdrv.NewBatch(8, divertdrv.MTUMax)
	for n := 0; ; {
		if err := b.h.Recv(batch); err != nil {
			b.err = err
			return
		}
		for i := range batch.Packets() {
			if n++; n%7 == 0 {
				if held, err := batch.Hold(i, 0, divertdrv.Pass); err == nil {
					b.mu.Lock()
					b.held = append(b.held, held)
					b.mu.Unlock()
					continue
				}
			}
			batch.Packets()[i].Set(divertdrv.Pass, 0)
		}
		if err := b.h.Complete(batch); err != nil {
			b.err = err
			return
		}
	}
}

// release lets some of the held packets go, the newest first.
func (b *bed) release(n int) {
	b.mu.Lock()
	n = min(n, len(b.held))
	going := slices.Clone(b.held[len(b.held)-n:])
	b.held = b.held[:len(b.held)-n]
	b.mu.Unlock()
	for _, h := range going {
		_ = h.Release(divertdrv.Pass, 0) // the books tell
	}
}

// Whatever is replaced, refiltered, paused and resumed under a handle, and however packets are held meanwhile: every packet that
// went in comes out, once, and the books are right.
func TestSwap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newBed(t, true)
		sent := int64(0)
		priority := int16(0)
		change := func(do func() error) {
			if err := do(); err != nil {
				t.Fatal(err)
			}
		}
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			switch rapid.SampledFrom([]string{"send", "send", "send", "swap", "pause", "resume", "release"}).Draw(t, "step") {
			case "send":
				for range rapid.IntRange(1, 40).Draw(t, "packets") {
					if err := b.stack.Send(datagram()); err != nil {
						t.Fatal(err)
					}
					sent++
				}
			case "swap":
				priority++
				change(func() error { return b.swap(priority) })
			case "pause":
				change(b.s.pause)
			case "resume":
				change(b.s.resume)
			case "release":
				b.release(rapid.IntRange(1, 10).Draw(t, "held"))
			}
		}
		if err := b.h.Shutdown(divertdrv.ShutdownRecv); err != nil {
			t.Fatal(err)
		}
		<-b.over
		b.release(1 << 20)
		if err := b.h.Close(); err != nil {
			t.Fatal(err)
		}
		b.s.close()
		b.stack.Close()
		st := b.h.Stats()
		if err := st.Conserved(); err != nil || st.Passed != st.Received || st.Lost != 0 || st.Held != 0 {
			t.Errorf("%v: %+v", err, st)
		}
		if !errors.Is(b.err, divertdrv.ErrShutdown) || b.out.Load() != sent {
			t.Errorf("%d sent, %d came out; the reader ended with %v", sent, b.out.Load(), b.err)
		}
	})
}

// swap replaces the lower handle by one of another priority.
func (b *bed) swap(priority int16) error {
	b.s.ops.Lock()
	defer b.s.ops.Unlock()
	r, err := b.s.prepare(b.s.driver, false, false, []policy.Handle{{Filter: everythingFilter(), Priority: priority}})
	if err != nil {
		return err
	}
	return r.commit(func() error { return nil })
}

// A policy that is refused after the lower handles were opened leaves no trace: they are closed again, and packets go on.
func TestSwapTakenBack(t *testing.T) {
	b := newBed(t, true)
	b.s.ops.Lock()
	r, err := b.s.prepare(b.s.driver, false, false, []policy.Handle{{Filter: everythingFilter(), Priority: 1}})
	if err != nil {
		t.Fatal(err)
	}
	refused := errors.New("refused")
	if err := r.commit(func() error { return refused }); !errors.Is(err, refused) {
		t.Errorf("%v", err)
	}
	b.s.ops.Unlock()
	if spec := b.s.specs()[0]; spec.Priority != 0 {
		t.Errorf("priority %d", spec.Priority)
	}
	for range 5 {
		if err := b.stack.Send(datagram()); err != nil {
			t.Fatal(err)
		}
	}
	await(t, "packets", func() bool { return b.h.Stats().Received == 5 })
	b.finish(t)
}

func (b *bed) finish(t *testing.T) {
	t.Helper()
	_ = b.h.Shutdown(divertdrv.ShutdownRecv)
	<-b.over
	b.release(1 << 20)
	if err := b.h.Close(); err != nil {
		t.Error(err)
	}
	b.s.close()
	b.stack.Close()
	st := b.h.Stats()
	if err := st.Conserved(); err != nil {
		t.Error(err)
	}
}

// A driver that dies ends nobody's run: packets pass by until it is opened again, and the books go on.
func TestSwapDeath(t *testing.T) {
	b := newBed(t, true)
	send := func(n int) {
		for range n {
			if err := b.stack.Send(datagram()); err != nil {
				t.Fatal(err)
			}
		}
	}
	send(10)
	await(t, "packets", func() bool { return b.h.Stats().Received == 10 })
	b.driver.kill()
	await(t, "its death", func() bool { return b.deaths.Load() == 1 && !b.s.up() })
	send(5) // pass by
	if done, err := b.s.reopen(b.s.conns[0]); done || !errors.Is(err, errDied) {
		t.Errorf("%v, %v", done, err)
	}
	b.driver.revive()
	if done, err := b.s.reopen(b.s.conns[0]); !done || err != nil {
		t.Errorf("%v, %v", done, err)
	}
	if !b.s.up() {
		t.Error("it is not up")
	}
	send(10)
	await(t, "packets", func() bool { return b.h.Stats().Received == 20 })
	b.finish(t)
	if b.err == nil || !errors.Is(b.err, divertdrv.ErrShutdown) {
		t.Errorf("%v", b.err)
	}
}

// A lower handle that died and fails closed keeps its rules until it is opened again, or nothing is to be diverted any more.
func TestSwapDeathFailsClosed(t *testing.T) {
	for name, end := range map[string]func(b *bed) error{
		"reopen": func(b *bed) error {
			b.driver.revive()
			_, err := b.s.reopen(b.s.conns[0])
			return err
		},
		"pause": func(b *bed) error { return b.s.pause() },
	} {
		b := newBed(t, true)
		c := b.s.conns[0]
		c.mu.Lock()
		c.now.failClosed = true
		c.mu.Unlock()
		past := func() int {
			c.mu.Lock()
			defer c.mu.Unlock()
			return len(c.past)
		}
		b.driver.kill()
		await(t, "its death", func() bool { return b.deaths.Load() == 1 })
		if past() != 1 {
			t.Errorf("%s: it is closed", name)
		}
		if err := end(b); err != nil {
			t.Error(err)
		}
		if past() != 0 {
			t.Errorf("%s: it is not closed", name)
		}
		b.finish(t)
	}
}

// Where the driver is not opened again, its error ends the reader.
func TestSwapDeathIsTheEnd(t *testing.T) {
	b := newBed(t, false)
	b.driver.kill()
	<-b.over
	if !errors.Is(b.err, errDied) {
		t.Errorf("%v", b.err)
	}
	_ = b.h.Close()
	b.s.close()
	b.stack.Close()
}

// A session opens its driver again by itself, with time between the tries.
func TestRevive(t *testing.T) {
	w := newWorld(t, startPolicy).start()
	driver := &mortal{Driver: w.s.swap.driver}
	w.s.swap.ops.Lock()
	w.s.swap.driver, w.s.swap.reopens = driver, true
	w.s.swap.ops.Unlock()
	w.write(startPolicy + "handles: [{layer: network, filter: udp, priority: 3}]\n")
	if x := w.reload(); !x.Applied || x.HandlesOpened != 1 {
		t.Fatalf("%+v", x)
	}
	driver.kill()
	await(t, "two tries", func() bool { return w.count(evReopenFailed) >= 2 })
	if s := w.s.Status(); s.Driver.Open || s.Driver.Error != errDied.Error() {
		t.Errorf("%+v", s.Driver)
	}
	before := w.s.ControlStats().Total.Received
	driver.revive()
	await(t, "its revival", func() bool { return w.count(evReopened) == 1 })
	await(t, "packets", func() bool { return w.s.ControlStats().Total.Received > before })
	if s := w.s.Status(); !s.Driver.Open || s.Driver.Reopened != 1 {
		t.Errorf("%+v", s.Driver)
	}
}

// datagram is a UDP packet from the simulated host to elsewhere.
func datagram() []byte {
	return []byte{
		0x45, 0, 0, 32, 0, 0, 0x40, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2,
		0x13, 0x88, 0, 9, 0, 12, 0, 0, 1, 2, 3, 4,
	}
}

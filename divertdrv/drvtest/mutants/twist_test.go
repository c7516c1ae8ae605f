package mutants

import (
	"bytes"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/drvtest"
	"github.com/weirnet/weir/divertdrv/filter"
	"github.com/weirnet/weir/internal/clock"
)

// twist is what a mutant does instead of its driver. What is nil it does as the driver does.
type twist struct {
	open     func(d *twisted, f *divertdrv.Filter, l divertdrv.Layer, o *divertdrv.Options) (divertdrv.Conn, error)
	recv     func(c *twistedConn, b *divertdrv.Batch) error
	complete func(c *twistedConn, b *divertdrv.Batch) error
	release  func(c *twistedConn, token uint64, m divertdrv.Mark, p *divertdrv.Packet) error
	inject   func(c *twistedConn, p []divertdrv.Packet) (int, error)
	param    func(c *twistedConn, p divertdrv.Param) (uint64, error)
	setParam func(c *twistedConn, p divertdrv.Param, v uint64) error
	shutdown func(c *twistedConn, how divertdrv.Shutdown) error
	close    func(c *twistedConn) error
	caps     func(c divertdrv.Caps) divertdrv.Caps
	stats    func(c *twistedConn, s divertdrv.Stats) divertdrv.Stats
	start    func(d *twisted)
	deadline func(d time.Duration) time.Duration
}

// twisted is a mutant's driver.
type twisted struct {
	divertdrv.Driver
	t drvtest.T
	w *drvtest.World
	twist

	top, bottom *divertdrv.Handle // above and below all others at NETWORK, to send by

	mu    sync.Mutex // guards all below
	conns []*twistedConn
	spies []*divertdrv.Handle
	noted divertdrv.Address // of what was injected last

	impostors atomic.Bool // one was injected
}

// world makes the worlds of a mutant.
func (m *mutant) world(inner func(drvtest.T) *drvtest.World) func(drvtest.T) *drvtest.World {
	return func(t drvtest.T) *drvtest.World {
		w := inner(t)
		d := &twisted{Driver: w.Driver, t: t, w: w, twist: m.twist}
		w.Driver = d
		d.bottom = d.sender(-30000)
		d.top = d.sender(30000)
		if m.start != nil {
			m.start(d)
		}
		return w
	}
}

// sender opens a handle that only sends, at NETWORK.
func (d *twisted) sender(priority int16) *divertdrv.Handle {
	return d.extra("false", divertdrv.Network, divertdrv.Options{Priority: priority, Flags: divertdrv.SendOnly})
}

// extra opens a handle of the driver's own.
func (d *twisted) extra(text string, l divertdrv.Layer, o divertdrv.Options) *divertdrv.Handle {
	o.Driver = d.Driver
	h, err := divertdrv.Open(text, l, &o)
	if err != nil {
		d.t.Fatalf("the mutant: %v", err)
	}
	d.t.Cleanup(func() { _ = h.Close() })
	return h
}

func (d *twisted) Open(f *divertdrv.Filter, l divertdrv.Layer, o *divertdrv.Options) (divertdrv.Conn, error) {
	open := d.open
	if open == nil {
		open = asIs
	}
	conn, err := open(d, f, l, o)
	if err != nil {
		return nil, err
	}
	c := &twistedConn{Conn: conn, d: d, f: f, layer: l, opts: *o}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.conns = append(d.conns, c)
	return c, nil
}

func asIs(d *twisted, f *divertdrv.Filter, l divertdrv.Layer, o *divertdrv.Options) (divertdrv.Conn, error) {
	return d.Driver.Open(f, l, o)
}

// others are the open connections but c.
func (c *twistedConn) others() (all []*twistedConn) {
	c.d.mu.Lock()
	defer c.d.mu.Unlock()
	for _, o := range c.d.conns {
		if o != c {
			all = append(all, o)
		}
	}
	return all
}

// twistedConn is a mutant's handle.
type twistedConn struct {
	divertdrv.Conn
	d     *twisted
	f     *divertdrv.Filter
	layer divertdrv.Layer
	opts  divertdrv.Options

	mu       sync.Mutex // guards all below
	received map[*divertdrv.Batch][][]byte
	set      map[divertdrv.Param]uint64
	shut     divertdrv.Shutdown
	rounds   int // what a mutant counts
	closed   bool
	woken    bool // by a packet, while it waited
	out      []*divertdrv.Batch
	pending  []*divertdrv.Packet

	waiting atomic.Bool // in Recv
}

func (c *twistedConn) Clock() clock.Clock {
	k := clock.System
	if inner, ok := c.Conn.(interface{ Clock() clock.Clock }); ok {
		k = inner.Clock()
	}
	if c.d.deadline != nil {
		return wrongClock{k, c.d.deadline}
	}
	return k
}

// wrongClock keeps other deadlines than it is asked for.
type wrongClock struct {
	clock.Clock
	deadline func(time.Duration) time.Duration
}

func (w wrongClock) AfterFunc(d time.Duration, f func()) clock.Timer {
	return w.Clock.AfterFunc(w.deadline(d), f)
}

func (c *twistedConn) Recv(b *divertdrv.Batch) error {
	c.waiting.Store(true)
	defer c.waiting.Store(false)
	if c.d.recv != nil {
		return c.d.recv(c, b)
	}
	return c.Conn.Recv(b)
}

func (c *twistedConn) Complete(b *divertdrv.Batch) error {
	if c.d.complete != nil {
		return c.d.complete(c, b)
	}
	return c.Conn.Complete(b)
}

func (c *twistedConn) Release(token uint64, m divertdrv.Mark, p *divertdrv.Packet) error {
	if c.d.release != nil {
		return c.d.release(c, token, m, p)
	}
	return c.Conn.Release(token, m, p)
}

func (c *twistedConn) Inject(p []divertdrv.Packet) (int, error) {
	if c.d.inject != nil {
		return c.d.inject(c, p)
	}
	return c.Conn.Inject(p)
}

func (c *twistedConn) Param(p divertdrv.Param) (uint64, error) {
	if c.d.param != nil {
		return c.d.param(c, p)
	}
	return c.Conn.Param(p)
}

func (c *twistedConn) SetParam(p divertdrv.Param, v uint64) error {
	if c.d.setParam != nil {
		return c.d.setParam(c, p, v)
	}
	return c.Conn.SetParam(p, v)
}

func (c *twistedConn) Shutdown(how divertdrv.Shutdown) error {
	if c.d.shutdown != nil {
		return c.d.shutdown(c, how)
	}
	return c.Conn.Shutdown(how)
}

func (c *twistedConn) Close() error {
	if c.d.close != nil {
		return c.d.close(c)
	}
	return c.Conn.Close()
}

func (c *twistedConn) Caps() divertdrv.Caps {
	if c.d.caps != nil {
		return c.d.caps(c.Conn.Caps())
	}
	return c.Conn.Caps()
}

func (c *twistedConn) Stats() divertdrv.Stats {
	if c.d.stats != nil {
		return c.d.stats(c, c.Conn.Stats())
	}
	return c.Conn.Stats()
}

// packets says that the handle has packets of NETWORK, not copies and not events.
func (c *twistedConn) packets() bool {
	return c.layer == divertdrv.Network && c.opts.Flags&divertdrv.Sniff == 0
}

// each is a recv that does something to every packet.
func each(f func(c *twistedConn, pk *divertdrv.Packet)) func(*twistedConn, *divertdrv.Batch) error {
	return func(c *twistedConn, b *divertdrv.Batch) error {
		err := c.Conn.Recv(b)
		if err == nil {
			for i := range b.Packets() {
				f(c, &b.Packets()[i])
			}
		}
		return err
	}
}

// passing is a complete that does something to every packet that passes.
func passing(f func(c *twistedConn, b *divertdrv.Batch, i int)) func(*twistedConn, *divertdrv.Batch) error {
	return func(c *twistedConn, b *divertdrv.Batch) error {
		for i := range b.Packets() {
			if m, _ := b.Outcome(i); m == divertdrv.Pass && !b.IsHeld(i) && c.packets() {
				f(c, b, i)
			}
		}
		return c.Conn.Complete(b)
	}
}

// sendBy sends a copy of a packet from the rank of another handle.
func sendBy(h *divertdrv.Handle, a *divertdrv.Address, data []byte) {
	_, _ = h.Inject([]divertdrv.Packet{*divertdrv.NewPacket(*a, bytes.Clone(data))})
}

// remember is a recv that keeps what was received, for complete; bytes returns it.
func remember(c *twistedConn, b *divertdrv.Batch) error {
	err := c.Conn.Recv(b)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.received == nil {
		c.received = map[*divertdrv.Batch][][]byte{}
	}
	all := make([][]byte, b.Len())
	for i, pk := range b.Packets() {
		all[i] = bytes.Clone(pk.Data)
	}
	c.received[b] = all
	return nil
}

func (c *twistedConn) remembered(b *divertdrv.Batch, i int) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.received[b][i]
}

// as makes the driver open another filter: and is joined to the text.
func as(f *divertdrv.Filter, l divertdrv.Layer, and string) *divertdrv.Filter {
	text := "(" + f.String() + ") and " + and
	if and == "" {
		text = "true"
	}
	prog, err := filter.Parse(text, l)
	if err != nil {
		panic(err)
	}
	return prog
}

// drained takes what is unread out of the inner driver's queue.
func (c *twistedConn) drained() (all []*divertdrv.Packet) {
	h, err := divertdrv.OpenProgram(c.f, &divertdrv.Options{Driver: around{c.Conn}, Flags: c.opts.Flags})
	if err != nil {
		return nil
	}
	_ = c.Conn.Shutdown(divertdrv.ShutdownRecv)
	for b := newBatch(); h.Recv(b) == nil; _ = h.Complete(b) {
		for i := range b.Packets() {
			all = append(all, free(&b.Packets()[i]))
		}
	}
	return all
}

// around is a driver that opens what is open already.
type around struct{ conn divertdrv.Conn }

func (around) Name() string { return "around" }

func (a around) Open(*divertdrv.Filter, divertdrv.Layer, *divertdrv.Options) (divertdrv.Conn, error) {
	return a.conn, nil
}

// free copies a packet into one that was never received.
func free(pk *divertdrv.Packet) *divertdrv.Packet {
	return divertdrv.NewPacket(*pk.Addr, bytes.Clone(pk.Data))
}

// newBatch returns a batch with room for all that waits in a test.
func newBatch() *divertdrv.Batch { return divertdrv.NewBatch(64, 1<<14) }

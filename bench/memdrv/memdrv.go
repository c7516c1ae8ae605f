// Package memdrv is the driver that costs least: it gives packets from memory and counts what comes back, so that what is measured on
// it is Weir and not a kernel or a simulator. It diverts nothing and is for measuring only.
//
// It is driven from outside: Do lets so many packets in and returns when all are completed. Each packet is copied once on its way
// in, as out of a kernel, and handed to Out on its way out, where there is one.
package memdrv

import (
	"fmt"
	"sync"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/filter"
	"github.com/weirnet/weir/divertdrv/wire"
)

// Config says where packets come from and go to.
type Config struct {
	// Next returns the next packet, up to 2,000 bytes, valid until its batch is completed. It is called by the reader.
	Next func() (a *divertdrv.Address, data []byte)
	// Out is given each packet that passed, valid during the call; Flush is called after each batch. nil: nobody.
	Out   func(data []byte)
	Flush func()
	// Filters has the handle's filter asked, with the packet's headers, as a driver in user space does; else it is taken for true.
	Filters bool
	// Batch is how many packets a Recv takes at most. 0: 64
	Batch int
}

// Driver is a Config that can be opened, once.
type Driver struct {
	cfg  Config
	prog *filter.Program

	grant chan int      // how many packets to let in
	done  chan struct{} // they are completed
	stop  chan struct{}
	once  sync.Once

	left  int  // packets of the grant
	asked bool // Do waits
	views [divertdrv.BatchMax]filter.View
	heads [divertdrv.BatchMax]wire.Headers
	hits  [divertdrv.BatchMax]bool
}

// New returns a driver.
func New(cfg Config) *Driver {
	if cfg.Batch == 0 {
		cfg.Batch = 64
	}
	return &Driver{cfg: cfg, grant: make(chan int), done: make(chan struct{}), stop: make(chan struct{})}
}

// Name is "memory".
func (*Driver) Name() string { return "memory" }

// Open opens the one handle, at NETWORK.
func (d *Driver) Open(f *divertdrv.Filter, layer divertdrv.Layer, o *divertdrv.Options) (divertdrv.Conn, error) {
	if layer != divertdrv.Network || o.Readers > 1 || d.prog != nil {
		return nil, fmt.Errorf("memdrv: one handle at NETWORK with one reader: %w", divertdrv.ErrUnsupported)
	}
	d.prog = f
	return d, nil
}

// Do lets n packets in and waits until they are completed; at once if the handle is closed.
func (d *Driver) Do(n int) error {
	select {
	case d.grant <- n:
	case <-d.stop:
		return divertdrv.ErrClosed
	}
	select {
	case <-d.done:
		return nil
	case <-d.stop:
		return divertdrv.ErrClosed
	}
}

// Recv fills the batch, or waits for Do.
func (d *Driver) Recv(b *divertdrv.Batch) error {
	for b.Len() == 0 {
		if err := d.await(); err != nil {
			return err
		}
		d.fill(b)
	}
	return nil
}

// await tells Do that its packets are completed, and waits for more.
func (d *Driver) await() error {
	for d.left == 0 {
		if d.asked {
			d.asked = false
			select {
			case d.done <- struct{}{}:
			case <-d.stop:
				return divertdrv.ErrShutdown
			}
		}
		select {
		case d.left = <-d.grant:
			d.asked = true
		case <-d.stop:
			return divertdrv.ErrShutdown
		}
	}
	return nil
}

// fill lets in what the batch has room for: packetMax bytes must be left for each.
func (d *Driver) fill(b *divertdrv.Batch) {
	_, room := b.Room()
	n := min(d.left, d.cfg.Batch, room/packetMax)
	d.left -= n
	if !d.cfg.Filters {
		for range n {
			a, data := d.cfg.Next()
			b.Append(a, data, 0)
		}
		return
	}
	for i := range n {
		a, data := d.cfg.Next()
		wire.Parse(data, &d.heads[i])
		d.views[i] = filter.View{Addr: a, Data: data, Headers: &d.heads[i]}
	}
	d.prog.MatchBatch(d.views[:n], d.hits[:n])
	for i := range n {
		if d.hits[i] {
			b.Append(d.views[i].Addr, d.views[i].Data, 0)
		}
	}
}

// packetMax is the largest packet that is let in, in bytes, with what aligns it.
const packetMax = 2048

// Complete hands on what passed.
func (d *Driver) Complete(b *divertdrv.Batch) error {
	if d.cfg.Out == nil {
		return nil
	}
	packets := b.Packets()
	for i := range packets {
		if mark, _ := b.Outcome(i); mark == divertdrv.Pass {
			d.cfg.Out(packets[i].Data)
		}
	}
	if d.cfg.Flush != nil {
		d.cfg.Flush()
	}
	return nil
}

// Shutdown ends Recv and Do; Close too.
func (d *Driver) Shutdown(divertdrv.Shutdown) error {
	d.once.Do(func() { close(d.stop) })
	return nil
}

// Close does what Shutdown does: nothing is kept here.
func (d *Driver) Close() error { return d.Shutdown(divertdrv.ShutdownRecv) }

// Release is refused, as are all calls below that nothing needs which is measured.
func (*Driver) Release(uint64, divertdrv.Mark, *divertdrv.Packet) error {
	return divertdrv.ErrUnsupported
}

// Inject is refused.
func (*Driver) Inject([]divertdrv.Packet) (int, error) { return 0, divertdrv.ErrUnsupported }

// Param is refused.
func (*Driver) Param(divertdrv.Param) (uint64, error) { return 0, divertdrv.ErrUnsupported }

// SetParam is refused.
func (*Driver) SetParam(divertdrv.Param, uint64) error { return divertdrv.ErrUnsupported }

// Caps says that packets may be changed.
func (*Driver) Caps() divertdrv.Caps {
	return divertdrv.Caps{Modify: true, Grow: true, LossCounted: true}
}

// Stats has nothing to add: nothing is lost.
func (*Driver) Stats() divertdrv.Stats { return divertdrv.Stats{} }

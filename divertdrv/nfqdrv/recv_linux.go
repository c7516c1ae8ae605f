package nfqdrv

import (
	"fmt"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/nfqdrv/internal/queue"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/internal/clock"
)

// Recv waits for packets and puts as many into b as one look at the kernel's queue brings and b has room for. A first packet that
// is larger than b is cut.
func (c *conn) Recv(b *divertdrv.Batch) error {
	if c.copier != nil {
		return c.recvCopies(b)
	}
	if c.queue == nil {
		return fmt.Errorf("%w: Recv on a handle that was opened with SendOnly", divertdrv.ErrUnsupported)
	}
	c.in.mu.Lock()
	defer c.in.mu.Unlock()
	if c.in.away || c.in.backlog.n > 0 || c.in.full.messages > 0 { // else what is here came with the last look
		c.in.look()
	}
	if c.in.away {
		c.pump()
		c.in.away = false
	}
	for {
		c.in.present = c.in.now + int64(awayAfter)
		c.fill(b)
		c.tell()
		if b.Len() > 0 {
			return nil
		}
		if err := c.receive(); err != nil {
			return err
		}
		c.in.look()
	}
}

// receive waits for messages of the kernel, or returns why there will be none.
func (c *conn) receive() error {
	switch {
	case c.closing.Load():
		return divertdrv.ErrClosed
	case c.recvShut.Load(): // no rule brings more
		some, err := c.read(queue.NoWait)
		if err == nil && !some {
			return divertdrv.ErrShutdown
		}
		return err
	}
	c.keeper.rest()
	defer c.keeper.resume()
	if spin := c.driver.config.Spin; spin > 0 {
		for until := time.Now().Add(spin); time.Now().Before(until); {
			if some, err := c.read(queue.NoWait); some || err != nil {
				return err
			}
		}
	}
	if some, err := c.read(queue.Doze); some || err != nil {
		return err
	}
	_, err := c.read(queue.Block)
	return err
}

// read takes messages from the kernel and notes how full its queue seems to be.
func (c *conn) read(w queue.Wait) (some bool, err error) {
	some, err = c.queue.Recv(w)
	if n, full := c.queue.Received(); full {
		c.in.full.messages += uint64(n)
	} else {
		c.in.emptied()
	}
	return some, err
}

// emptied notes that the kernel's queue was seen empty.
func (in *in) emptied() { in.full.messages, in.full.bytes, in.full.since = 0, 0, 0 }

// look reads the clock, once for all packets that are looked at now.
func (in *in) look() {
	now := time.Now()
	in.now, in.stamp = clock.Steady(now), now.UnixNano()
	if in.full.since == 0 && in.full.messages > 0 {
		in.full.since = in.now
	}
}

// fill moves packets into b: first those that the keeper took in, then those that were just received.
func (c *conn) fill(b *divertdrv.Batch) {
	if c.overfull() && c.behind() {
		c.pump()
	}
	c.fromBacklog(b)
	for more, _ := b.Room(); more && c.in.backlog.n == 0 && c.queue.Next(&c.in.packet); more, _ = b.Room() {
		c.sift(b)
	}
}

func (c *conn) fromBacklog(b *divertdrv.Batch) {
	q := &c.in.backlog
	q.expire(c.in.now)
	for q.n > 0 {
		e := q.oldest()
		if !deliver(b, &e.addr, q.data(e), e.token) {
			return
		}
		q.remove()
	}
}

// overfull says that so much came without a pause that the kernel's queue may hold more than the handle's limits allow.
func (c *conn) overfull() bool {
	limit := &c.in.backlog.limit
	return c.in.full.messages >= limit[addr.QueueLength].Load() || c.in.full.bytes >= limit[addr.QueueSize].Load()
}

// behind says that a reader has not caught up with what comes for half of the longest time that a packet may wait. Until then what
// it has not read stays in the kernel's queue, which is longer than the limits allow: a reader that is kept from its processor for a
// moment loses nothing, and none of its time goes to what it will shed.
func (c *conn) behind() bool {
	patience := int64(c.in.backlog.limit[addr.QueueTime].Load()) * 1e6 / 2
	return c.in.full.since != 0 && c.in.now-c.in.full.since >= patience
}

// pump takes all that waits in the kernel into the backlog, which keeps to the limits.
func (c *conn) pump() {
	for {
		for c.queue.Next(&c.in.packet) {
			c.sift(nil)
		}
		if some, err := c.read(queue.NoWait); err != nil || !some {
			break
		}
		c.in.look()
	}
	c.in.emptied()
}

// sift decides about in.packet: it is b's, or the backlog's where b is nil or has no room; or it is none of the handle's.
func (c *conn) sift(b *divertdrv.Batch) {
	p := &c.in.packet
	c.in.full.bytes += uint64(len(p.Data))
	if c.judged != nil {
		c.judged.Note(p.ID, p.Data)
	}
	t := tokenOf(p) | c.in.copies
	if int(p.Len) > len(p.Data) {
		t |= tokenCut // over queue.MaxPayload
	}
	a := &c.in.addr
	c.address(a, p, t)
	data := p.Data
	if t&tokenCopy == 0 && c.driver.shared.echoes.heard(c, t, data, c.letGo) {
		c.books.repeated.Add(1)
		c.end(t, true)
		return
	}
	if c.filters().rechecks(p, &c.in.headers) {
		var ours bool
		if data, t, ours = c.recheck(a, p, t); !ours {
			return
		}
	}
	if c.dropAll {
		c.books.dropped.Add(1)
		c.end(t, false)
		return
	}
	c.give(b, a, data, t)
}

// give puts a packet into b, or into the backlog.
func (c *conn) give(b *divertdrv.Batch, a *divertdrv.Address, data []byte, t token) {
	if b == nil || c.in.backlog.n > 0 || !deliver(b, a, data, t) {
		c.in.backlog.admit(a, data, c.in.now, t)
	}
}

// deliver puts one packet into b; false: there is no room.
func deliver(b *divertdrv.Batch, a *divertdrv.Address, data []byte, t token) bool {
	if _, room := b.Room(); b.Len() == 0 && len(data) > room {
		data, t = data[:room], t|tokenCut
	}
	return b.Append(a, data, uint64(t))
}

// end tells the kernel what becomes of a packet that was not given to anybody. It is sent when the receiver flushes.
func (c *conn) end(t token, passes bool) {
	if t&tokenCopy != 0 {
		return
	}
	for _, id := range c.out.takePieces(t) {
		c.tellOf(id, passes)
	}
	c.tellOf(t.id(), passes)
}

func (c *conn) tellOf(id uint32, passes bool) {
	if c.in.verdict.Verdict(id, passes) != nil {
		c.unsent()
	}
	if passes {
		c.in.passes++
	}
}

// tell sends the verdicts of packets that were not given to anybody.
func (c *conn) tell() {
	if c.in.verdict.Flush() != nil {
		c.unsent()
	}
	c.in.passes = 0
	if c.in.flight != nil {
		c.in.flight.land()
		c.in.flight = nil
	}
}

// letGo is the flight of echoes that are let go on by the next tell.
func (c *conn) letGo() *flight {
	if c.in.flight == nil {
		c.in.flight = c.driver.shared.depart()
	}
	return c.in.flight
}

// unsent books packets that should go on and that the kernel could not be told of: they wait in it until the handle is closed.
func (c *conn) unsent() {
	c.books.lost[reason.NoMemory].Add(c.in.passes)
	c.in.passes = 0
}

// lose books and ends a packet that the backlog shed.
func (c *conn) lose(t token, why divertdrv.Cause) {
	c.books.lost[why%reason.Max].Add(1)
	c.end(t, false)
}

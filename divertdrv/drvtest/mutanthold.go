package drvtest

import (
	"bytes"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/wire"
)

// releasing is a release that does something first.
func releasing(f func(c *twistedConn, m *divertdrv.Mark, p *divertdrv.Packet)) twist {
	return twist{release: func(c *twistedConn, token uint64, m divertdrv.Mark, p *divertdrv.Packet) error {
		f(c, &m, p)
		return c.Conn.Release(token, m, p)
	}}
}

// third is true every third time.
func (c *twistedConn) third() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rounds++
	return c.rounds%3 == 0
}

var holdMutants = []mutant{
	{name: "every third release sends nothing", twist: releasing(func(c *twistedConn, m *divertdrv.Mark, _ *divertdrv.Packet) {
		if c.third() {
			*m = divertdrv.Drop
		}
	})},
	{name: "a release sends always", twist: releasing(func(_ *twistedConn, m *divertdrv.Mark, _ *divertdrv.Packet) { *m = divertdrv.Pass })},
	{name: "every third release sends twice", twist: twist{release: func(c *twistedConn, token uint64, m divertdrv.Mark, p *divertdrv.Packet) error {
		if m == divertdrv.Pass && c.packets() && c.third() {
			_, _ = c.Conn.Inject([]divertdrv.Packet{*clone(p)})
		}
		return c.Conn.Release(token, m, p)
	}}},
	{name: "a release goes past all lower handles", twist: twist{release: func(c *twistedConn, token uint64, m divertdrv.Mark, p *divertdrv.Packet) error {
		if m == divertdrv.Pass && c.packets() {
			sendBy(c.d.bottom, p.Addr, p.Data)
			m = divertdrv.Drop
		}
		return c.Conn.Release(token, m, p)
	}}},
	{name: "a release repairs checksums", twist: releasing(func(_ *twistedConn, _ *divertdrv.Mark, p *divertdrv.Packet) {
		wire.CalcChecksums(p.Data, 0)
	})},
	{name: "a release forgets the change of the last byte", twist: releasing(func(_ *twistedConn, _ *divertdrv.Mark, p *divertdrv.Packet) {
		if p.Changed() && len(p.Data) < 70 {
			p.Data[len(p.Data)-1] = 0
		}
	})},
	{name: "a release cuts what has grown", twist: releasing(func(_ *twistedConn, _ *divertdrv.Mark, p *divertdrv.Packet) {
		if p.Changed() && len(p.Data) > 70 {
			p.Data = p.Data[:60]
		}
	})},
	{name: "a release after Shutdown sends", twist: twist{release: func(c *twistedConn, token uint64, m divertdrv.Mark, p *divertdrv.Packet) error {
		err := c.Conn.Release(token, m, p)
		if err == divertdrv.ErrShutdown {
			sendBy(c.d.bottom, p.Addr, p.Data)
			err = nil
		}
		return err
	}}},
	{name: "a held packet blocks its batch", twist: twist{complete: func(c *twistedConn, b *divertdrv.Batch) error {
		for i := range b.Packets() {
			if b.IsHeld(i) {
				for j := i + 1; j < b.Len(); j++ {
					b.Fail(j, 0)
				}
			}
		}
		return c.Conn.Complete(b)
	}}},
	{name: "one of three that is held goes on with its batch too", twist: twist{complete: func(c *twistedConn, b *divertdrv.Batch) error {
		for i := range b.Packets() {
			if b.IsHeld(i) && c.packets() && b.Len() == 3 {
				sendBy(c.d.bottom, b.Packets()[i].Addr, bytes.Clone(b.Packets()[i].Data))
			}
		}
		return c.Conn.Complete(b)
	}}},
	{name: "no deadline comes", twist: twist{deadline: func(time.Duration) time.Duration { return 24 * time.Hour }}},
	{name: "all deadlines come soon", twist: twist{deadline: func(d time.Duration) time.Duration { return min(d, time.Millisecond) }}},
	{name: "one packet too few may be held", twist: twist{caps: func(c divertdrv.Caps) divertdrv.Caps {
		c.HoldMax = 3
		return c
	}}},
}

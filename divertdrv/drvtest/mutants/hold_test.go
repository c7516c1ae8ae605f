package mutants

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
	{name: "every third release sends nothing", breaks: []string{"hold/full", "hold/released-in-any-order"}, twist: releasing(func(c *twistedConn, m *divertdrv.Mark, _ *divertdrv.Packet) {
		if c.third() {
			*m = divertdrv.Drop
		}
	})},
	{name: "a release sends always", breaks: []string{"hold/a-drop-is-counted", "hold/released-once"}, twist: releasing(func(_ *twistedConn, m *divertdrv.Mark, _ *divertdrv.Packet) { *m = divertdrv.Pass })},
	{name: "every third release sends twice", breaks: []string{"hold/from-any-goroutine", "hold/released-in-any-order"}, twist: twist{release: func(c *twistedConn, token uint64, m divertdrv.Mark, p *divertdrv.Packet) error {
		if m == divertdrv.Pass && c.packets() && c.third() {
			_, _ = c.Conn.Inject([]divertdrv.Packet{*free(p)})
		}
		return c.Conn.Release(token, m, p)
	}}},
	{name: "a release goes past all lower handles", breaks: []string{"deadline/passes-by-default", "hold/goes-on-strictly-lower", "hold/until-close"}, twist: twist{release: func(c *twistedConn, token uint64, m divertdrv.Mark, p *divertdrv.Packet) error {
		if m == divertdrv.Pass && c.packets() {
			sendBy(c.d.bottom, p.Addr, p.Data)
			m = divertdrv.Drop
		}
		return c.Conn.Release(token, m, p)
	}}},
	{name: "a release repairs checksums", breaks: []string{"hold/outlives-its-batch"}, twist: releasing(func(_ *twistedConn, _ *divertdrv.Mark, p *divertdrv.Packet) {
		wire.CalcChecksums(p.Data, 0)
	})},
	{name: "a release forgets the change of the last byte", breaks: []string{"hold/may-be-changed"}, twist: releasing(func(_ *twistedConn, _ *divertdrv.Mark, p *divertdrv.Packet) {
		if p.Changed() && len(p.Data) < 70 {
			p.Data[len(p.Data)-1] = 0
		}
	})},
	{name: "a release cuts what has grown", breaks: []string{"hold/may-grow"}, twist: releasing(func(_ *twistedConn, _ *divertdrv.Mark, p *divertdrv.Packet) {
		if p.Changed() && len(p.Data) > 70 {
			p.Data = p.Data[:60]
		}
	})},
	{name: "a release after Shutdown sends", breaks: []string{"shutdown/send-releases-nothing"}, twist: twist{release: func(c *twistedConn, token uint64, m divertdrv.Mark, p *divertdrv.Packet) error {
		err := c.Conn.Release(token, m, p)
		if err == divertdrv.ErrShutdown {
			sendBy(c.d.bottom, p.Addr, p.Data)
			err = nil
		}
		return err
	}}},
	{name: "a held packet blocks its batch", breaks: []string{"hold/others-go-on"}, twist: twist{complete: func(c *twistedConn, b *divertdrv.Batch) error {
		for i := range b.Packets() {
			if b.IsHeld(i) {
				for j := i + 1; j < b.Len(); j++ {
					b.Fail(j, 0)
				}
			}
		}
		return c.Conn.Complete(b)
	}}},
	{name: "one of three that is held goes on with its batch too", breaks: []string{"hold/others-go-on"}, twist: twist{complete: func(c *twistedConn, b *divertdrv.Batch) error {
		for i := range b.Packets() {
			if b.IsHeld(i) && c.packets() && b.Len() == 3 {
				sendBy(c.d.bottom, b.Packets()[i].Addr, bytes.Clone(b.Packets()[i].Data))
			}
		}
		return c.Conn.Complete(b)
	}}},
	{name: "no deadline comes", breaks: []string{"deadline/drops-by-default", "hold/is-told-when-it-is-over"}, twist: twist{deadline: func(time.Duration) time.Duration { return 24 * time.Hour }}},
	{name: "all deadlines come soon", breaks: []string{"deadline/each-packet-has-its-own", "deadline/not-before"}, twist: twist{deadline: func(d time.Duration) time.Duration { return min(d, time.Millisecond) }}},
	{name: "Caps let three packets be held", breaks: []string{"open/caps"}, twist: twist{caps: func(c divertdrv.Caps) divertdrv.Caps {
		c.HoldMax = 3
		return c
	}}},
}

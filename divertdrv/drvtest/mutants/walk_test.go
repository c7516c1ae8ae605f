package mutants

import (
	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/wire"
)

// instead is a complete that lets packets of NETWORK pass in its own way.
func instead(f func(c *twistedConn, pk *divertdrv.Packet)) func(*twistedConn, *divertdrv.Batch) error {
	return func(c *twistedConn, b *divertdrv.Batch) error {
		if !c.packets() {
			return c.Conn.Complete(b)
		}
		for i := range b.Packets() {
			if m, _ := b.Outcome(i); m == divertdrv.Pass && !b.IsHeld(i) {
				f(c, &b.Packets()[i])
			}
		}
		return nil
	}
}

var walkMutants = []mutant{
	{name: "what comes inbound goes past all lower handles", breaks: []string{"pass/changes-no-byte-inbound"}, twist: twist{complete: instead(func(c *twistedConn, pk *divertdrv.Packet) {
		if pk.Addr.Outbound() {
			_, _ = c.Conn.Inject([]divertdrv.Packet{*pk.Clone()})
		} else {
			sendBy(c.d.bottom, pk.Addr, pk.Data)
		}
	})}},
	{name: "a pass is seen once per priority", breaks: []string{"priority/a-pass-goes-strictly-lower"}, twist: twist{
		start: func(d *twisted) {
			for prio := range int16(9) { // the oldest of each
				d.spies = append(d.spies, d.sender(prio))
			}
		},
		complete: instead(func(c *twistedConn, pk *divertdrv.Packet) {
			if p := c.opts.Priority; p >= 0 && p < 9 {
				sendBy(c.d.spies[p], pk.Addr, pk.Data)
			} else {
				sendBy(c.d.bottom, pk.Addr, pk.Data)
			}
		}),
	}},
	{name: "a drop goes on", breaks: []string{"complete/unmarked-is-dropped", "priority/a-drop-ends-it"}, twist: twist{complete: func(c *twistedConn, b *divertdrv.Batch) error {
		err := c.Conn.Complete(b)
		for i := range b.Packets() {
			if m, _ := b.Outcome(i); m == divertdrv.Drop && !b.IsHeld(i) && c.packets() {
				_, _ = c.Conn.Inject([]divertdrv.Packet{*free(&b.Packets()[i])})
			}
		}
		return err
	}}},
	{name: "an injection is seen by all", breaks: []string{"priority/an-injection-goes-strictly-lower"}, twist: twist{inject: func(c *twistedConn, p []divertdrv.Packet) (int, error) {
		if c.layer != divertdrv.Network {
			return c.Conn.Inject(p)
		}
		return c.d.top.Inject(p)
	}}},
	{name: "an inbound injection is seen by all", breaks: []string{"priority/an-inbound-injection-goes-strictly-lower"}, twist: twist{inject: func(c *twistedConn, p []divertdrv.Packet) (int, error) {
		if c.layer != divertdrv.Network || len(p) != 1 || p[0].Addr.Outbound() {
			return c.Conn.Inject(p)
		}
		return c.d.top.Inject(p)
	}}},
	{name: "an injection is seen by its own handle", breaks: []string{"priority/never-ones-own"}, twist: twist{inject: func(c *twistedConn, p []divertdrv.Packet) (int, error) {
		if c.layer != divertdrv.Network {
			return c.Conn.Inject(p)
		}
		return c.d.sender(c.opts.Priority).Inject(p)
	}}},
	{name: "an injection is seen by none", breaks: []string{"priority/an-injection-goes-strictly-lower"}, twist: twist{inject: func(c *twistedConn, p []divertdrv.Packet) (int, error) {
		if c.layer != divertdrv.Network {
			return c.Conn.Inject(p)
		}
		return c.d.bottom.Inject(p)
	}}},
	{name: "a pass pays a hop", breaks: []string{"pass/changes-no-byte", "pass/changes-no-byte-inbound"}, twist: twist{complete: passing(func(_ *twistedConn, b *divertdrv.Batch, i int) {
		var h wire.Headers
		if pk := &b.Packets()[i]; wire.Parse(pk.Data, &h) {
			wire.DecrementTTL(pk.Data, &h)
		}
	})}},
	{name: "a loopback pass pays a hop", breaks: []string{"pass/changes-no-byte-loopback"}, twist: twist{complete: passing(func(_ *twistedConn, b *divertdrv.Batch, i int) {
		var h wire.Headers
		if pk := &b.Packets()[i]; pk.Addr.Loopback() && wire.Parse(pk.Data, &h) {
			wire.DecrementTTL(pk.Data, &h)
		}
	})}},
	{name: "a forwarded pass changes the last byte", breaks: []string{"pass/changes-no-byte-forwarded"}, twist: twist{complete: func(c *twistedConn, b *divertdrv.Batch) error {
		for i := range b.Packets() {
			if pk := &b.Packets()[i]; c.layer == divertdrv.NetworkForward {
				pk.Data[len(pk.Data)-1]++
			}
		}
		return c.Conn.Complete(b)
	}}},
	{name: "a pass repairs checksums", breaks: []string{"pass/a-wrong-checksum-stays"}, twist: twist{complete: passing(func(_ *twistedConn, b *divertdrv.Batch, i int) {
		wire.CalcChecksums(b.Packets()[i].Data, 0)
	})}},
	{name: "a pass drops the last byte of what is long", breaks: []string{"pass/every-size"}, twist: twist{complete: passing(func(_ *twistedConn, b *divertdrv.Batch, i int) {
		if pk := &b.Packets()[i]; len(pk.Data) > 1300 {
			pk.Data = pk.Data[:len(pk.Data)-1]
		}
	})}},
	{name: "what passes turns round", breaks: []string{"pass/keeps-its-way"}, twist: twist{complete: passing(func(_ *twistedConn, b *divertdrv.Batch, i int) {
		b.Packets()[i].Addr.SetOutbound(false)
	})}},
	{name: "what is turned round goes on", breaks: []string{"modify/turned-round"}, twist: twist{complete: passing(func(_ *twistedConn, b *divertdrv.Batch, i int) {
		if b.Changed(i) {
			b.Packets()[i].Addr.SetOutbound(true)
		}
	})}},
	{name: "a change does not go on", breaks: []string{"modify/bytes", "priority/a-change-is-seen-below"}, twist: twist{recv: remember, complete: passing(func(c *twistedConn, b *divertdrv.Batch, i int) {
		if pk := &b.Packets()[i]; b.Changed(i) {
			pk.Data = c.remembered(b, i)
		}
	})}},
	{name: "what has grown is cut", breaks: []string{"modify/grown", "modify/inbound"}, twist: twist{recv: remember, complete: passing(func(c *twistedConn, b *divertdrv.Batch, i int) {
		if pk := &b.Packets()[i]; len(pk.Data) > len(c.remembered(b, i)) {
			pk.Data = pk.Data[:len(c.remembered(b, i))]
		}
	})}},
	{name: "what has shrunk is filled up", breaks: []string{"modify/shrunk"}, twist: twist{recv: remember, complete: passing(func(c *twistedConn, b *divertdrv.Batch, i int) {
		if pk, was := &b.Packets()[i], c.remembered(b, i); len(pk.Data) < len(was) {
			pk.Data = append(pk.Data[:len(pk.Data):len(pk.Data)], was[len(pk.Data):]...)
		}
	})}},
	{name: "a change repairs all checksums", breaks: []string{"modify/corruption-is-not-laundered"}, twist: twist{complete: passing(func(_ *twistedConn, b *divertdrv.Batch, i int) {
		if b.Changed(i) {
			wire.CalcChecksums(b.Packets()[i].Data, 0)
		}
	})}},
	{name: "a change of one repairs its neighbours", breaks: []string{"modify/only-what-was-changed"}, twist: twist{complete: func(c *twistedConn, b *divertdrv.Batch) error {
		changed := false
		for i := range b.Packets() {
			changed = changed || b.Changed(i)
		}
		for i := range b.Packets() {
			if changed && c.packets() && !b.IsHeld(i) && len(b.Packets()) == 4 {
				wire.CalcChecksums(b.Packets()[i].Data, 0)
			}
		}
		return c.Conn.Complete(b)
	}}},
}

package mutants

import (
	"github.com/weirnet/weir/divertdrv"
)

var flagMutants = []mutant{
	{name: "Sniff diverts", breaks: []string{"sniff/several", "sniff/the-packet-goes-on-at-once"}, twist: strip(divertdrv.Sniff)},
	{name: "a copy does not say so", breaks: []string{"sniff/only-copies-say-so"}, twist: atNetwork(func(a *divertdrv.Address) { a.SetSniffed(false) })},
	{name: "everything is a copy", breaks: []string{"address/outbound", "sniff/only-copies-say-so"}, twist: atNetwork(func(a *divertdrv.Address) { a.SetSniffed(true) })},
	{name: "a copy that passes is sent", breaks: []string{"sniff/what-becomes-of-a-copy-is-nothing"}, twist: twist{complete: func(c *twistedConn, b *divertdrv.Batch) error {
		for i := range b.Packets() {
			if m, _ := b.Outcome(i); m == divertdrv.Pass && !b.IsHeld(i) && c.layer == divertdrv.Network && !c.packets() {
				sendBy(c.d.bottom, b.Packets()[i].Addr, b.Packets()[i].Data)
			}
		}
		return c.Conn.Complete(b)
	}}},
	{name: "a copy that is released is sent", breaks: []string{"sniff/a-copy-may-be-held"}, twist: twist{release: func(c *twistedConn, token uint64, m divertdrv.Mark, p *divertdrv.Packet) error {
		if m == divertdrv.Pass && !c.packets() {
			sendBy(c.d.bottom, p.Addr, p.Data)
		}
		return c.Conn.Release(token, m, p)
	}}},
	{name: "unread copies are sent at the end", breaks: []string{"sniff/unread-copies-end-with-the-handle"}, twist: twist{close: func(c *twistedConn) error {
		if c.layer == divertdrv.Network && !c.packets() {
			for _, pk := range c.drained() {
				sendBy(c.d.bottom, pk.Addr, pk.Data)
			}
		}
		return c.Conn.Close()
	}}},
	{name: "DropAll lets pass", breaks: []string{"drop-all/drops"}, twist: twist{open: flagged(func(l divertdrv.Layer, f divertdrv.Flags) divertdrv.Flags {
		if l == divertdrv.Network && f&divertdrv.DropAll != 0 {
			f = f&^divertdrv.DropAll | divertdrv.SendOnly
		}
		return f
	})}},
	{name: "DropAll drops all", breaks: []string{"drop-all/the-rest-passes"}, twist: twist{open: opening(func(f *divertdrv.Filter, l *divertdrv.Layer, o *divertdrv.Options) *divertdrv.Filter {
		if *l == divertdrv.Network && o.Flags&divertdrv.DropAll != 0 {
			return as(f, *l, "")
		}
		return f
	})}},
	{name: "DropAll is not counted", breaks: []string{"drop-all/is-counted"}, twist: twist{stats: func(_ *twistedConn, s divertdrv.Stats) divertdrv.Stats {
		s.Received, s.Dropped = 0, divertdrv.Stats{}.Dropped
		return s
	}}},
	{name: "Sniff with RecvOnly diverts", breaks: []string{"sniff/with-recv-only"}, twist: twist{open: flagged(func(l divertdrv.Layer, f divertdrv.Flags) divertdrv.Flags {
		if l == divertdrv.Network && f&divertdrv.RecvOnly != 0 {
			f &^= divertdrv.Sniff
		}
		return f
	})}},
	{name: "RecvOnly passes", breaks: []string{"recv-only/cannot-pass"}, twist: strip(divertdrv.RecvOnly)},
	{name: "SendOnly takes", breaks: []string{"send-only/takes-nothing"}, twist: twist{open: flagged(func(l divertdrv.Layer, f divertdrv.Flags) divertdrv.Flags {
		if f&divertdrv.SendOnly != 0 {
			f = f&^divertdrv.SendOnly | divertdrv.DropAll
		}
		return f
	})}},
	{name: "SendOnly receives", breaks: []string{"send-only/cannot-receive"}, twist: strip(divertdrv.SendOnly)},
	{name: "SendOnly cannot send", breaks: []string{"send-only/injects"}, twist: twist{inject: func(c *twistedConn, p []divertdrv.Packet) (int, error) {
		if c.opts.Flags&divertdrv.SendOnly != 0 {
			return 0, divertdrv.ErrUnsupported
		}
		return c.Conn.Inject(p)
	}}},
	{name: "fragments are never seen", breaks: []string{"fragments/as-they-come"}, twist: strip(divertdrv.Fragments)},
	{name: "fragments are never joined", breaks: []string{"fragments/reassembled-without-the-flag"}, twist: twist{open: flagged(func(l divertdrv.Layer, f divertdrv.Flags) divertdrv.Flags {
		if l == divertdrv.Network {
			f |= divertdrv.Fragments
		}
		return f
	})}},
	{name: "outbound fragments are dropped", breaks: []string{"fragments/outbound-as-they-are"}, twist: twist{start: func(d *twisted) {
		d.extra("fragment and outbound", divertdrv.Network, divertdrv.Options{Priority: 29999, Flags: divertdrv.DropAll})
	}}},
}

package mutants

import (
	"bytes"
	"errors"
	"slices"
	"unsafe"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/wire"
)

// injecting is an inject that does something to each packet first. The packets are the mutant's own.
func injecting(f func(c *twistedConn, pk *divertdrv.Packet)) twist {
	return twist{inject: func(c *twistedConn, p []divertdrv.Packet) (int, error) {
		own := make([]divertdrv.Packet, len(p))
		for i := range p {
			own[i] = *divertdrv.NewPacket(*p[i].Addr, alike(p[i].Data))
			f(c, &own[i])
		}
		return c.Conn.Inject(own)
	}}
}

// alike copies a packet to memory that is aligned as it was.
func alike(data []byte) []byte {
	const most = 64
	if len(data) == 0 {
		return nil
	}
	room := make([]byte, len(data)+2*most)
	off := int((uintptr(unsafe.Pointer(&data[0])) - uintptr(unsafe.Pointer(&room[0]))) % most)
	return room[off : off+copy(room[off:], data)]
}

var injectMutants = []mutant{
	{name: "outbound goes to the host", breaks: []string{"inject/outbound-leaves"}, twist: injecting(func(_ *twistedConn, pk *divertdrv.Packet) { pk.Addr.SetOutbound(false) })},
	{name: "inbound goes to the wire", breaks: []string{"inject/inbound-reaches-the-host"}, twist: injecting(func(_ *twistedConn, pk *divertdrv.Packet) { pk.Addr.SetOutbound(true) })},
	{name: "any interface will do", breaks: []string{"inject/inbound-at-an-interface-that-is"}, twist: injecting(func(c *twistedConn, pk *divertdrv.Packet) { pk.Addr.SetInterface(c.d.w.IfIdx, 0) })},
	{name: "an injection repairs checksums", breaks: []string{"inject/final-checksums-are-trusted"}, twist: injecting(func(_ *twistedConn, pk *divertdrv.Packet) { wire.CalcChecksums(pk.Data, 0) })},
	{name: "an injection spoils checksums", breaks: []string{"inject/owed-checksums-are-computed"}, twist: injecting(func(_ *twistedConn, pk *divertdrv.Packet) {
		if len(pk.Data) > 27 {
			pk.Data[26]++
		}
	})},
	{name: "impostors pay nothing", breaks: []string{"impostor/costs-a-hop", "impostor/hop-limit-used-up"}, twist: injecting(func(_ *twistedConn, pk *divertdrv.Packet) { pk.Addr.SetImpostor(false) })},
	{name: "everybody pays a hop", breaks: []string{"impostor/others-pay-nothing"}, twist: injecting(func(_ *twistedConn, pk *divertdrv.Packet) { pk.Addr.SetImpostor(true) })},
	{name: "the last hop is free", breaks: []string{"impostor/hop-limit-used-up"}, twist: injecting(func(_ *twistedConn, pk *divertdrv.Packet) {
		if h := pk.Headers(); h.Version != 0 && wire.TTL(pk.Data, h) == 1 {
			pk.Addr.SetImpostor(false)
		}
	})},
	{name: "the hop is taken off the caller's packet", breaks: []string{"impostor/costs-a-hop"}, twist: twist{inject: func(c *twistedConn, p []divertdrv.Packet) (int, error) {
		if len(p) == 1 && p[0].Addr.Impostor() {
			wire.DecrementTTL(p[0].Data, p[0].Headers())
			p[0].Addr.SetImpostor(false)
		}
		return c.Conn.Inject(p)
	}}},
	{name: "an impostor stays one", breaks: []string{"impostor/one-hop-only"}, twist: twist{
		inject: func(c *twistedConn, p []divertdrv.Packet) (int, error) {
			c.d.impostors.Store(len(p) > 0 && p[0].Addr.Impostor())
			return c.Conn.Inject(p)
		},
		recv: each(func(c *twistedConn, pk *divertdrv.Packet) { pk.Addr.SetImpostor(c.d.impostors.Load()) }),
	}},
	{name: "many packets go in backwards", breaks: []string{"inject/order"}, twist: twist{inject: func(c *twistedConn, p []divertdrv.Packet) (int, error) {
		if len(p) < 9 {
			return c.Conn.Inject(p)
		}
		back := slices.Clone(p)
		slices.Reverse(back)
		return c.Conn.Inject(back)
	}}},
	{name: "the last of many packets is lost", breaks: []string{"inject/order"}, twist: twist{inject: func(c *twistedConn, p []divertdrv.Packet) (int, error) {
		if len(p) < 9 {
			return c.Conn.Inject(p)
		}
		n, err := c.Conn.Inject(p[:len(p)-1])
		return n + 1, err
	}}},
	{name: "IPv6 goes in twice", breaks: []string{"inject/inbound-reaches-the-host", "inject/outbound-leaves"}, twist: twist{inject: func(c *twistedConn, p []divertdrv.Packet) (int, error) {
		if n, err := c.Conn.Inject(p); err != nil || len(p) != 1 || p[0].Headers().Version != 6 {
			return n, err
		}
		return c.Conn.Inject(p)
	}}},
	{name: "every fiftieth packet goes in twice", breaks: []string{"race/everything-at-once"}, twist: twist{inject: func(c *twistedConn, p []divertdrv.Packet) (int, error) {
		c.mu.Lock()
		c.rounds++
		twice := c.rounds%50 == 0
		c.mu.Unlock()
		if n, err := c.Conn.Inject(p); err != nil || !twice {
			return n, err
		}
		return c.Conn.Inject(p)
	}}},
	{name: "a failed injection says nothing", breaks: []string{"inject/malformed"}, twist: twist{inject: func(c *twistedConn, p []divertdrv.Packet) (int, error) {
		n, err := c.Conn.Inject(p)
		if errors.Is(err, divertdrv.ErrMalformed) {
			return len(p), nil
		}
		return n, err
	}}},
	{name: "injection goes on after a failure", breaks: []string{"inject/until-one-fails"}, twist: twist{inject: func(c *twistedConn, p []divertdrv.Packet) (n int, err error) {
		if len(p) == 0 {
			return c.Conn.Inject(p)
		}
		for i := range p {
			one, bad := c.Conn.Inject(p[i : i+1])
			n += one
			err = errors.Join(err, bad)
		}
		return n, err
	}}},
	{name: "a failure is any error", breaks: []string{"inject/malformed"}, twist: twist{inject: func(c *twistedConn, p []divertdrv.Packet) (int, error) {
		n, err := c.Conn.Inject(p)
		if err != nil {
			err = divertdrv.ErrUnreachable
		}
		return n, err
	}}},
	{name: "an injection writes to the caller's packet", breaks: []string{"inject/the-packet-stays-the-caller's"}, twist: twist{inject: func(c *twistedConn, p []divertdrv.Packet) (int, error) {
		n, err := c.Conn.Inject(p)
		if len(p) == 1 && len(p[0].Data) > 20 {
			p[0].Data[len(p[0].Data)-1]++
		}
		return n, err
	}}},
	{name: "lower handles are told what the injector said", breaks: []string{"inject/what-lower-handles-are-told"}, twist: twist{
		inject: func(c *twistedConn, p []divertdrv.Packet) (int, error) {
			if len(p) == 1 {
				c.d.mu.Lock()
				c.d.noted = *p[0].Addr
				c.d.mu.Unlock()
			}
			return c.Conn.Inject(p)
		},
		recv: each(func(c *twistedConn, pk *divertdrv.Packet) {
			c.d.mu.Lock()
			defer c.d.mu.Unlock()
			if c.d.noted.Sniffed() {
				pk.Addr.SetSniffed(true)
			}
		}),
	}},
	{name: "a misaligned header is bent", breaks: []string{"inject/alignment"}, twist: twist{inject: func(c *twistedConn, p []divertdrv.Packet) (int, error) {
		n, err := c.Conn.Inject(p)
		if len(p) == 1 && errors.Is(err, divertdrv.ErrMisaligned) {
			return c.Conn.Inject([]divertdrv.Packet{*divertdrv.NewPacket(*p[0].Addr, bytes.Clone(p[0].Data))})
		}
		return n, err
	}}},
	{name: "there is no injection inbound", breaks: []string{"inject/inbound-reaches-the-host", "inject/only-with-caps"}, twist: twist{inject: func(c *twistedConn, p []divertdrv.Packet) (int, error) {
		if len(p) == 1 && !p[0].Addr.Outbound() && c.layer == divertdrv.Network {
			return 0, divertdrv.ErrUnsupported
		}
		return c.Conn.Inject(p)
	}}},
	{name: "forwarded packets cannot be injected", breaks: []string{"inject/forward"}, twist: twist{inject: func(c *twistedConn, p []divertdrv.Packet) (int, error) {
		if c.layer == divertdrv.NetworkForward {
			return 0, divertdrv.ErrUnsupported
		}
		return c.Conn.Inject(p)
	}}},
}

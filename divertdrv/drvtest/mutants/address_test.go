package mutants

import (
	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/wire"
)

// atNetwork changes what is told of packets of the NETWORK layer.
func atNetwork(f func(a *divertdrv.Address)) twist {
	return twist{recv: each(func(c *twistedConn, pk *divertdrv.Packet) {
		if c.layer == divertdrv.Network {
			f(pk.Addr)
		}
	})}
}

var addressMutants = []mutant{
	{name: "everything is outbound", breaks: []string{"address/inbound"}, twist: atNetwork(func(a *divertdrv.Address) { a.SetOutbound(true) })},
	{name: "loopback is not told", breaks: []string{"address/loopback"}, twist: atNetwork(func(a *divertdrv.Address) { a.SetLoopback(false) })},
	{name: "IPv6 is not told", breaks: []string{"address/outbound"}, twist: atNetwork(func(a *divertdrv.Address) { a.SetIPv6(false) })},
	{name: "the time is not told", breaks: []string{"address/timestamp"}, twist: atNetwork(func(a *divertdrv.Address) { a.Timestamp = 0 })},
	{name: "the interface is not told", breaks: []string{"address/interface"}, twist: atNetwork(func(a *divertdrv.Address) { a.SetInterface(0, 0) })},
	{name: "all layers are NETWORK", breaks: []string{"address/forwarded"}, twist: twist{recv: each(func(c *twistedConn, pk *divertdrv.Packet) {
		pk.Addr.SetLayer(divertdrv.Network, pk.Addr.Event())
	})}},
	{name: "a packet is no event", breaks: []string{"address/outbound"}, twist: atNetwork(func(a *divertdrv.Address) { a.SetLayer(divertdrv.Network, addr.EventOpen) })},
	{name: "time goes back", breaks: []string{"address/timestamp"}, twist: twist{recv: func(c *twistedConn, b *divertdrv.Batch) error {
		err := c.Conn.Recv(b)
		for i := range b.Packets() {
			b.Packets()[i].Addr.Timestamp -= int64(i)
		}
		return err
	}}},
	{name: "a stale checksum of IPv6 is called final", breaks: []string{"address/checksum-flags"}, twist: twist{
		recv: func(c *twistedConn, b *divertdrv.Batch) error {
			err := remember(c, b)
			for i := range b.Packets() {
				pk := &b.Packets()[i]
				var h wire.Headers
				if wire.Parse(pk.Data, &h) && h.Transport == wire.UDP && h.Version == 6 && c.layer == divertdrv.Network {
					h.UDP(pk.Data).SetChecksum(0xdead)
				}
			}
			return err
		},
		complete: passing(func(c *twistedConn, b *divertdrv.Batch, i int) {
			if pk := &b.Packets()[i]; !b.Changed(i) {
				copy(pk.Data, c.remembered(b, i))
			}
		}),
	}},
}

package nfqdrv

import (
	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/nfqdrv/internal/queue"
	"github.com/weirnet/weir/divertdrv/nfqdrv/internal/rules"
)

// address says what the kernel knows of a packet besides its bytes. The IP header's checksum is final everywhere: the kernel computes
// it before the output hook, and again where it put fragments together.
func (c *conn) address(a *divertdrv.Address, p *queue.Packet, t token) {
	*a = divertdrv.Address{Timestamp: c.in.stamp}
	a.SetLayer(c.layer, addr.EventPacket)
	a.SetIPv6(t&tokenIPv6 != 0)
	a.SetIPChecksum(true)
	final := p.Facts&queue.ChecksumOwed == 0 && t&tokenCopy == 0 // of copies it is not known
	a.SetSniffed(t&tokenCopy != 0)
	a.SetTCPChecksum(final)
	a.SetUDPChecksum(final)
	switch {
	case t&tokenForward != 0:
		a.SetOutbound(true)
		a.SetInterface(p.OutIf, 0)
	case t&tokenOutbound != 0:
		a.SetOutbound(true)
		a.SetLoopback(p.OutIf == rules.Loopback)
		a.SetInterface(p.OutIf, 0)
	default:
		a.SetInterface(p.InIf, 0)
	}
}

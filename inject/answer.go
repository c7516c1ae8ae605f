package inject

import "github.com/weirnet/weir/divertdrv"

// End is one of the two ends of a packet.
type End uint8

// The ends.
const (
	ToSender End = iota
	ToReceiver
)

// AnswerTo addresses a packet that was crafted about p: up into this host if the end it is for is here, down out of it if not, with
// p's interface. Loopback packets live on the outbound path only. Of a forwarded packet both ends are elsewhere, and the interface
// is known for its receiver alone. The checksums in data are final.
func AnswerTo(p *divertdrv.Packet, data []byte, to End) Injection {
	var a divertdrv.Address
	a.Timestamp = p.Addr.Timestamp
	a.SetChecksums(true)
	a.SetLoopback(p.Addr.Loopback())
	path := Send
	if p.Addr.Layer() == divertdrv.NetworkForward {
		path = Forward
		if to == ToReceiver {
			a.SetInterface(p.Addr.IfIdx(), p.Addr.SubIfIdx())
		}
		return Injection{Packet: divertdrv.NewPacket(a, data), Path: path}
	}
	a.SetInterface(p.Addr.IfIdx(), p.Addr.SubIfIdx())
	if p.Addr.Outbound() == (to == ToSender) && !p.Addr.Loopback() {
		path = Receive
	}
	return Injection{Packet: divertdrv.NewPacket(a, data), Path: path}
}

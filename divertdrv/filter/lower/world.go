package lower

import "github.com/weirnet/weir/divertdrv/wire"

// world is one of the ways in which the headers of a packet go together.
type world struct {
	version   uint8
	transport wire.Transport
	pending   bool // a fragment of IPv6 that is to be reassembled: only its addresses are known
}

// The worlds, by number.
const (
	v4None = iota
	v4TCP
	v4UDP
	v4ICMP
	v6None
	v6TCP
	v6UDP
	v6ICMP
	v6Pending
	numWorlds
)

var worlds = [numWorlds]world{
	v4None:    {version: 4},
	v4TCP:     {version: 4, transport: wire.TCP},
	v4UDP:     {version: 4, transport: wire.UDP},
	v4ICMP:    {version: 4, transport: wire.ICMP},
	v6None:    {version: 6},
	v6TCP:     {version: 6, transport: wire.TCP},
	v6UDP:     {version: 6, transport: wire.UDP},
	v6ICMP:    {version: 6, transport: wire.ICMPv6},
	v6Pending: {version: 6, pending: true},
}

// protocols of the transports.
var protocols = [...]int32{wire.TCP: wire.ProtoTCP, wire.UDP: wire.ProtoUDP, wire.ICMP: wire.ProtoICMP, wire.ICMPv6: wire.ProtoICMPv6}

// header is the header that a field is in.
type header uint8

const (
	noHeader header = iota
	headerIPv4
	headerIPv6
	headerTCP
	headerUDP
	headerICMP
	headerICMPv6
)

// has says whether packets of the world have a header; maybe: it is not known yet.
func (w world) has(h header) (yes, maybe bool) {
	switch h {
	case headerIPv4:
		return w.version == 4, false
	case headerIPv6:
		return w.version == 6, false
	case headerICMP:
		return w.transport == wire.ICMP, false
	case headerTCP:
		return w.transport == wire.TCP, w.pending
	case headerUDP:
		return w.transport == wire.UDP, w.pending
	case headerICMPv6:
		return w.transport == wire.ICMPv6, w.pending
	}
	return true, false
}

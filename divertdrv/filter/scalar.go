package filter

import (
	"encoding/binary"
	"math/bits"

	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/wire"
)

// signBit moves signed values so that they compare as unsigned ones.
const signBit = 1 << 63

// scalar returns the value of a field that is neither a bit nor in a header nor an address.
func (n *node) scalar(a *addr.Address, pkt []byte, h *wire.Headers) uint64 {
	switch n.class {
	case classEvent:
		return eventValue(n.field, a)
	case classFlow:
		return flowValue(n.field, a)
	case classReflect:
		return reflectValue(n.field, a)
	}
	return packetValue(n.field, a, pkt, h)
}

func eventValue(id fieldID, a *addr.Address) uint64 {
	switch id {
	case fEvent:
		return uint64(a.Event())
	case fTimestamp:
		return uint64(a.Timestamp) ^ signBit
	}
	return 0 // zero
}

func flowValue(id fieldID, a *addr.Address) uint64 {
	f := a.Flow()
	switch id {
	case fProcessID:
		return uint64(f.ProcessID)
	case fLocalPort:
		return uint64(f.Local.Port())
	case fRemotePort:
		return uint64(f.Remote.Port())
	case fProtocol:
		return uint64(f.Protocol)
	case fEndpointID:
		return f.EndpointID
	}
	return f.ParentEndpointID
}

func reflectValue(id fieldID, a *addr.Address) uint64 {
	r := a.Reflect()
	switch id {
	case fProcessID:
		return uint64(r.ProcessID)
	case fLayer:
		return uint64(r.Layer)
	}
	return uint64(int64(r.Priority)) ^ signBit
}

func packetValue(id fieldID, a *addr.Address, pkt []byte, h *wire.Headers) uint64 {
	switch id {
	case fIfIdx:
		return uint64(a.IfIdx())
	case fSubIfIdx:
		return uint64(a.SubIfIdx())
	case fLocalPort:
		return port(a.Outbound(), pkt, h)
	case fRemotePort:
		return port(!a.Outbound(), pkt, h)
	case fProtocol:
		return uint64(h.Proto)
	case fLength:
		return uint64(h.Len)
	case fRandom8:
		return random(a, pkt, h) >> 48 & mask8
	case fRandom16:
		return random(a, pkt, h) >> 32 & mask16
	case fRandom32:
		return random(a, pkt, h) & mask32
	}
	return scrambledFlowLabel(pkt)
}

// port returns the port of the packet's sender or of its receiver. ICMP has none: WinDivert takes the type for the sender's.
func port(sender bool, pkt []byte, h *wire.Headers) uint64 {
	switch h.Transport {
	case wire.TCP, wire.UDP:
		off := h.TransportOff
		if !sender {
			off += 2
		}
		return uint64(binary.BigEndian.Uint16(pkt[off:]))
	case wire.ICMP, wire.ICMPv6:
		if sender {
			return uint64(pkt[h.TransportOff])
		}
	}
	return 0
}

// scrambledFlowLabel is what WinDivert 2.2 takes for the flow label: it joins the upper 4 bits with the lower 16 before it
// turns these into host order, and then turns the whole.
func scrambledFlowLabel(pkt []byte) uint64 {
	v := binary.BigEndian.Uint32(pkt)
	return uint64(v&mask16<<16 | v>>16&0xf<<8)
}

// random hashes the headers and the timestamp to 64 bits: the same for the same packet, of which a second one at another time
// gets another value.
func random(a *addr.Address, pkt []byte, h *wire.Headers) uint64 {
	const m1, m2 = 0x9e3779b97f4a7c15, 0xd6e8feb86659fd93
	sum := uint64(a.Timestamp) ^ m1
	ip := pkt[:wire.IPv4HeaderLen]
	if h.Version == 6 {
		ip = pkt[:wire.IPv6HeaderLen]
	}
	transport := pkt[h.TransportOff:h.TransportOff]
	switch h.Transport {
	case wire.TCP:
		transport = pkt[h.TransportOff : h.TransportOff+wire.TCPHeaderLen]
	case wire.UDP, wire.ICMP, wire.ICMPv6:
		transport = pkt[h.TransportOff : h.TransportOff+wire.UDPHeaderLen]
	}
	for _, b := range [2][]byte{ip, transport} {
		for len(b) >= 4 {
			hi, lo := bits.Mul64(sum^uint64(binary.BigEndian.Uint32(b)), m2)
			sum, b = hi^lo^m1, b[4:]
		}
	}
	hi, lo := bits.Mul64(sum^m2, m1)
	return hi ^ lo
}

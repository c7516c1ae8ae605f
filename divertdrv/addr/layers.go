package addr

import (
	"encoding/binary"
	"net/netip"
)

// Network data: IfIdx at +0, SubIfIdx at +4.

// IfIdx is the interface index; valid at NETWORK and NETWORK_FORWARD (there: the destination interface).
func (a *Address) IfIdx() uint32 { return binary.LittleEndian.Uint32(a.data[0:]) }

// SubIfIdx is the sub-interface index; valid at NETWORK.
func (a *Address) SubIfIdx() uint32 { return binary.LittleEndian.Uint32(a.data[4:]) }

// SetInterface sets both indices.
func (a *Address) SetInterface(ifIdx, subIfIdx uint32) {
	binary.LittleEndian.PutUint32(a.data[0:], ifIdx)
	binary.LittleEndian.PutUint32(a.data[4:], subIfIdx)
}

// Flow is the data of the FLOW and SOCKET layers.
type Flow struct {
	EndpointID, ParentEndpointID uint64
	ProcessID                    uint32
	Local, Remote                netip.AddrPort // IPv4 unmapped; Remote is [::]:0 at BIND and LISTEN, for IPv4 too
	Protocol                     uint8
}

// Flow reads the data of the FLOW and SOCKET layers.
func (a *Address) Flow() Flow {
	d := a.data[:]
	return Flow{
		EndpointID:       binary.LittleEndian.Uint64(d[0:]),
		ParentEndpointID: binary.LittleEndian.Uint64(d[8:]),
		ProcessID:        binary.LittleEndian.Uint32(d[16:]),
		Local:            netip.AddrPortFrom(address(d[20:36]), binary.LittleEndian.Uint16(d[52:])),
		Remote:           netip.AddrPortFrom(address(d[36:52]), binary.LittleEndian.Uint16(d[54:])),
		Protocol:         d[56],
	}
}

// SetFlow writes the data of the FLOW and SOCKET layers. An address that is not valid is written as zeros; zones are lost.
func (a *Address) SetFlow(f Flow) {
	a.data = [64]byte{}
	d := a.data[:]
	binary.LittleEndian.PutUint64(d[0:], f.EndpointID)
	binary.LittleEndian.PutUint64(d[8:], f.ParentEndpointID)
	binary.LittleEndian.PutUint32(d[16:], f.ProcessID)
	putAddress(d[20:36], f.Local.Addr())
	putAddress(d[36:52], f.Remote.Addr())
	binary.LittleEndian.PutUint16(d[52:], f.Local.Port())
	binary.LittleEndian.PutUint16(d[54:], f.Remote.Port())
	d[56] = f.Protocol
}

// LocalWords and RemoteWords are the two addresses of the FLOW and SOCKET layers as 128-bit numbers (IPv4 as ::ffff:a.b.c.d),
// which is how filters compare them.
func (a *Address) LocalWords() (hi, lo uint64) { return words(a.data[20:36]) }

// RemoteWords is described at LocalWords.
func (a *Address) RemoteWords() (hi, lo uint64) { return words(a.data[36:52]) }

// Reflect is the data of the REFLECT layer: the handle that was opened or closed.
type Reflect struct {
	Timestamp int64 // when it was opened, in ticks as Address.Timestamp
	ProcessID uint32
	Layer     Layer
	Flags     Flags
	Priority  int16
}

// Reflect reads the data of the REFLECT layer.
func (a *Address) Reflect() Reflect {
	d := a.data[:]
	return Reflect{
		Timestamp: int64(binary.LittleEndian.Uint64(d[0:])),
		ProcessID: binary.LittleEndian.Uint32(d[8:]),
		Layer:     Layer(binary.LittleEndian.Uint32(d[12:])),
		Flags:     Flags(binary.LittleEndian.Uint64(d[16:])),
		Priority:  int16(binary.LittleEndian.Uint16(d[24:])),
	}
}

// SetReflect writes the data of the REFLECT layer.
func (a *Address) SetReflect(r Reflect) {
	a.data = [64]byte{}
	d := a.data[:]
	binary.LittleEndian.PutUint64(d[0:], uint64(r.Timestamp))
	binary.LittleEndian.PutUint32(d[8:], r.ProcessID)
	binary.LittleEndian.PutUint32(d[12:], uint32(r.Layer))
	binary.LittleEndian.PutUint64(d[16:], uint64(r.Flags))
	binary.LittleEndian.PutUint16(d[24:], uint16(r.Priority))
}

// Addresses in flow data are in host order with word 0 least significant: the network form, fully reversed.

func words(b []byte) (hi, lo uint64) {
	return binary.LittleEndian.Uint64(b[8:]), binary.LittleEndian.Uint64(b)
}

func address(b []byte) netip.Addr {
	hi, lo := words(b)
	var n [16]byte
	binary.BigEndian.PutUint64(n[:8], hi)
	binary.BigEndian.PutUint64(n[8:], lo)
	return netip.AddrFrom16(n).Unmap()
}

func putAddress(b []byte, ip netip.Addr) {
	var n [16]byte
	if ip.IsValid() {
		n = ip.As16()
	}
	binary.LittleEndian.PutUint64(b[8:], binary.BigEndian.Uint64(n[:8]))
	binary.LittleEndian.PutUint64(b, binary.BigEndian.Uint64(n[8:]))
}

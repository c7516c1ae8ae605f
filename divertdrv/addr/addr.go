// Package addr holds the metadata that a divert driver gives with every packet or event: Address in the 80-byte layout of
// WINDIVERT_ADDRESS (WinDivert 2.2) on every platform, and the small enumerations of the driver seam. It imports std only.
package addr

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"unsafe"
)

// Size is the size of an Address in bytes, in memory and in its binary form.
const Size = 80

// Address is what a driver knows of a packet or event besides its bytes. What a platform cannot know stays zero, and Caps says
// so. The zero value is an inbound packet at the NETWORK layer whose checksums are all owed.
type Address struct {
	Timestamp int64 // ticks of the driver's clock; nanoseconds since the Unix epoch except on Windows (QPC ticks)
	flags     uint32
	_         uint32
	data      [64]byte // by layer; see Network, Flow, Reflect
}

// The kernel writes Addresses on Windows: its size and offsets are not ours to choose.
const (
	_ = uint(unsafe.Sizeof(Address{})-Size) + uint(Size-unsafe.Sizeof(Address{}))
	_ = uint(unsafe.Offsetof(Address{}.flags)-8) + uint(8-unsafe.Offsetof(Address{}.flags))
	_ = uint(unsafe.Offsetof(Address{}.data)-16) + uint(16-unsafe.Offsetof(Address{}.data))
)

// Bits of the word at offset 8, behind Layer (0-7) and Event (8-15).
const (
	bitSniffed = 1 << (16 + iota)
	bitOutbound
	bitLoopback
	bitImpostor
	bitIPv6
	bitIPChecksum
	bitTCPChecksum
	bitUDPChecksum
)

// Layer is where in the stack the packet or event was taken.
func (a *Address) Layer() Layer { return Layer(a.flags) }

// Event is what happened; EventPacket at the two network layers.
func (a *Address) Event() Event { return Event(a.flags >> 8) }

// SetLayer sets the layer and the event.
func (a *Address) SetLayer(l Layer, e Event) { a.flags = a.flags&^0xffff | uint32(l) | uint32(e)<<8 }

// Sniffed says that this is a copy and the packet itself went on.
func (a *Address) Sniffed() bool { return a.flags&bitSniffed != 0 }

// Outbound says that the packet leaves this host; always true at NETWORK_FORWARD.
func (a *Address) Outbound() bool { return a.flags&bitOutbound != 0 }

// Loopback says that both ends are this host. Such packets are seen once, on the outbound path.
func (a *Address) Loopback() bool { return a.flags&bitLoopback != 0 }

// Impostor says that another driver or program injected the packet; re-injecting it costs a hop.
func (a *Address) Impostor() bool { return a.flags&bitImpostor != 0 }

// IPv6 gives the family.
func (a *Address) IPv6() bool { return a.flags&bitIPv6 != 0 }

// IPChecksum says that the IPv4 header checksum in the packet is final; false: it is owed before injection.
func (a *Address) IPChecksum() bool { return a.flags&bitIPChecksum != 0 }

// TCPChecksum says that the TCP checksum in the packet is final; false: it is owed before injection.
func (a *Address) TCPChecksum() bool { return a.flags&bitTCPChecksum != 0 }

// UDPChecksum says that the UDP checksum in the packet is final; false: it is owed before injection.
func (a *Address) UDPChecksum() bool { return a.flags&bitUDPChecksum != 0 }

// FlagBits returns the flags as they stand in the structure, from bit 0: Sniffed, Outbound, Loopback, Impostor, IPv6, IPChecksum,
// TCPChecksum, UDPChecksum. One load for those who decide by several of them.
func (a *Address) FlagBits() uint8 { return uint8(a.flags >> 16) }

func (a *Address) set(bit uint32, on bool) {
	if on {
		a.flags |= bit
	} else {
		a.flags &^= bit
	}
}

// SetSniffed sets Sniffed.
func (a *Address) SetSniffed(on bool) { a.set(bitSniffed, on) }

// SetOutbound sets the direction: true out of this host, false into it.
func (a *Address) SetOutbound(on bool) { a.set(bitOutbound, on) }

// SetLoopback sets Loopback.
func (a *Address) SetLoopback(on bool) { a.set(bitLoopback, on) }

// SetImpostor sets Impostor. When the mark was lost, true is the safe value.
func (a *Address) SetImpostor(on bool) { a.set(bitImpostor, on) }

// SetIPv6 sets the family.
func (a *Address) SetIPv6(on bool) { a.set(bitIPv6, on) }

// SetIPChecksum says whether the IPv4 header checksum is final.
func (a *Address) SetIPChecksum(on bool) { a.set(bitIPChecksum, on) }

// SetTCPChecksum says whether the TCP checksum is final.
func (a *Address) SetTCPChecksum(on bool) { a.set(bitTCPChecksum, on) }

// SetUDPChecksum says whether the UDP checksum is final.
func (a *Address) SetUDPChecksum(on bool) { a.set(bitUDPChecksum, on) }

// SetChecksums sets all three checksum flags at once.
func (a *Address) SetChecksums(final bool) { a.set(bitIPChecksum|bitTCPChecksum|bitUDPChecksum, final) }

// Bytes returns the binary form: 80 bytes, little-endian, as the driver has them.
func (a *Address) Bytes() (b [Size]byte) {
	binary.LittleEndian.PutUint64(b[0:], uint64(a.Timestamp))
	binary.LittleEndian.PutUint32(b[8:], a.flags)
	copy(b[16:], a.data[:])
	return b
}

// Parse reads the binary form. It fails iff b is not Size bytes long.
func Parse(b []byte) (Address, error) {
	if len(b) != Size {
		return Address{}, fmt.Errorf("address is %d bytes, want %d (WINDIVERT_ADDRESS)", len(b), Size)
	}
	a := Address{
		Timestamp: int64(binary.LittleEndian.Uint64(b)),
		flags:     binary.LittleEndian.Uint32(b[8:]),
	}
	copy(a.data[:], b[16:])
	return a, nil
}

// ParseHex reads the binary form written in hexadecimal, 160 digits.
func ParseHex(s string) (Address, error) {
	b, err := hex.DecodeString(s)
	if err != nil {
		return Address{}, fmt.Errorf("address: %w", err)
	}
	return Parse(b)
}

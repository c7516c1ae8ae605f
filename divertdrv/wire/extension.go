package wire

import "encoding/binary"

// Extensions walks the extension headers of an IPv6 packet that Parse stepped over, in their order.
type Extensions struct {
	rest  []byte
	proto uint8
}

// Extensions returns the extension headers in front of h.TransportOff; none for an IPv4 packet.
func (h *Headers) Extensions(b []byte) Extensions {
	if h.Version != 6 {
		return Extensions{}
	}
	return Extensions{rest: b[IPv6HeaderLen:h.TransportOff], proto: b[6]}
}

// Next returns the next header's protocol number and its bytes, which are part of the packet. A header is at least 8 bytes, so
// the walk ends after at most 8,191 steps.
func (x *Extensions) Next() (proto uint8, header []byte, ok bool) {
	n := extensionSize(x.proto, x.rest)
	if n == 0 {
		return 0, nil, false
	}
	proto, header = x.proto, x.rest[:n:n]
	x.proto, x.rest = header[0], x.rest[n:]
	return proto, header, true
}

// FragmentHeader is the Fragment header of IPv6 in place (RFC 8200 4.5); it belongs to whoever owns the packet.
type FragmentHeader [FragmentLen]byte

// FragmentHeaderOf returns the Fragment header of an IPv6 packet, nil iff there is none.
func (h *Headers) FragmentHeaderOf(b []byte) *FragmentHeader {
	if h.Version != 6 || !h.Fragment {
		return nil
	}
	return (*FragmentHeader)(b[h.FragHeader:])
}

// NextHeader is the protocol number of the first header of the fragmented part.
func (f *FragmentHeader) NextHeader() uint8 { return f[0] }

// SetNextHeader sets the next header.
func (f *FragmentHeader) SetNextHeader(v uint8) { f[0] = v }

// FragOff is the offset in bytes, a multiple of 8, 0..65528.
func (f *FragmentHeader) FragOff() uint16 { return f.word() &^ (1<<v6FragOffShift - 1) }

// SetFragOff sets the offset in bytes; the lower three bits are lost.
func (f *FragmentHeader) SetFragOff(bytes uint16) {
	const low = 1<<v6FragOffShift - 1
	binary.BigEndian.PutUint16(f[2:], bytes&^low|f.word()&low)
}

// MoreFrags says that more fragments follow.
func (f *FragmentHeader) MoreFrags() bool { return f.word()&1 != 0 }

// SetMoreFrags sets whether more fragments follow.
func (f *FragmentHeader) SetMoreFrags(on bool) {
	binary.BigEndian.PutUint16(f[2:], f.word()&^1|bit(on, 1))
}

// ID is the identification.
func (f *FragmentHeader) ID() uint32 { return binary.BigEndian.Uint32(f[4:]) }

// SetID sets the identification.
func (f *FragmentHeader) SetID(v uint32) { binary.BigEndian.PutUint32(f[4:], v) }

func (f *FragmentHeader) word() uint16 { return binary.BigEndian.Uint16(f[2:]) }

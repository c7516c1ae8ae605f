package netlink

import (
	"encoding/binary"
	"errors"
)

const (
	attrHeader = 4
	attrNested = 1 << 15 // NLA_F_NESTED
	attrMask   = 1<<14 - 1
)

// Attrs is a list of attributes under construction: 4-byte aligned, numbers in the machine's order unless their method says BE.
type Attrs []byte

// Bytes appends an attribute with a copy of v, at most 65,531 bytes (the length field has 16 bits; more panics).
func (a *Attrs) Bytes(typ uint16, v []byte) {
	if len(v) > 0xffff-attrHeader {
		panic("netlink: an attribute takes at most 65,531 bytes")
	}
	b := binary.NativeEndian.AppendUint16(*a, uint16(attrHeader+len(v)))
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = append(b, v...)
	*a = append(b, make([]byte, pad(len(v)))...)
}

// String appends a string with its final zero.
func (a *Attrs) String(typ uint16, s string) { a.Bytes(typ, append([]byte(s), 0)) }

// U8 appends one byte.
func (a *Attrs) U8(typ uint16, v uint8) { a.Bytes(typ, []byte{v}) }

// U32 appends a number in the machine's order, as rtnetlink has it.
func (a *Attrs) U32(typ uint16, v uint32) { a.Bytes(typ, binary.NativeEndian.AppendUint32(nil, v)) }

// BE16 appends a number in network order, as netfilter has it.
func (a *Attrs) BE16(typ uint16, v uint16) { a.Bytes(typ, binary.BigEndian.AppendUint16(nil, v)) }

// BE32 appends a number in network order, as netfilter has it.
func (a *Attrs) BE32(typ uint16, v uint32) { a.Bytes(typ, binary.BigEndian.AppendUint32(nil, v)) }

// BE64 appends a number in network order, as netfilter has it.
func (a *Attrs) BE64(typ uint16, v uint64) { a.Bytes(typ, binary.BigEndian.AppendUint64(nil, v)) }

// Nest appends an attribute that holds what f appends.
func (a *Attrs) Nest(typ uint16, f func(in *Attrs)) {
	var in Attrs
	f(&in)
	a.Bytes(typ|attrNested, in)
}

// errAttrs: the kernel does not send such a list; reading stops rather than guess.
var errAttrs = errors.New("netlink: an attribute does not fit its list")

// Each calls f for each attribute of a list, with its type and the bytes inside, which alias b. It stops at f's error.
func Each(b []byte, f func(typ uint16, v []byte) error) error {
	for len(b) >= attrHeader {
		n := int(binary.NativeEndian.Uint16(b))
		if n < attrHeader || n > len(b) {
			return errAttrs
		}
		if err := f(binary.NativeEndian.Uint16(b[2:])&attrMask, b[attrHeader:n]); err != nil {
			return err
		}
		b = b[min(n+pad(n), len(b)):]
	}
	if len(b) != 0 {
		return errAttrs
	}
	return nil
}

// Text is a string attribute without its final zero.
func Text(v []byte) string {
	for i, c := range v {
		if c == 0 {
			return string(v[:i])
		}
	}
	return string(v)
}

// pad is what n lacks to a multiple of four.
func pad(n int) int { return -n & 3 }

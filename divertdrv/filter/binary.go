package filter

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/weirnet/weir/divertdrv/addr"
)

// The binary form is what WinDivert's library hands to its driver: for each test six 32-bit words, little-endian. The first has
// field (11 bits), operator (5) and success edge (16); the second failure edge (16), sign (1) and zeros (15); then come four
// words of the constant, the lowest first, or one and the index, signed (an object adds 65,535 to it).
const (
	binaryTest = 24 // bytes

	binaryFieldBits = 11
	binaryOpBits    = 5
	binaryOpShift   = binaryFieldBits
	binaryEdgeShift = 16
	binarySignShift = 16
	binaryWordsAt   = 8
)

// Binary returns the program as WinDivert's library hands it to its driver: 24 bytes for each test. What Object says about
// answers goes for it too. The error is an *Error for a program that the driver refuses, which only Compat22 lets through.
func (p *Program) Binary() ([]byte, error) {
	b := make([]byte, 0, binaryTest*len(p.tests))
	for i := range p.tests {
		t := &p.tests[i]
		if why := t.refused(); why != "" {
			return nil, newError(p.src, t.pos, CodeBadToken, "%s", why)
		}
		b = t.appendBinary(b)
	}
	return b, nil
}

func (t *test) appendBinary(b []byte) []byte {
	var words [4]uint32
	copy(words[:], t.words())
	switch {
	case t.field.isIPv4Addr():
		words[1] = mappedPrefix >> 32
	case t.field.size() != 0:
		words[1] = uint32(int32(t.index))
	}
	b = binary.LittleEndian.AppendUint32(b, uint32(t.field)|uint32(t.op)<<binaryOpShift|uint32(t.succ)<<binaryEdgeShift)
	b = binary.LittleEndian.AppendUint32(b, uint32(t.fail)|uint32(b2u(t.value.neg))<<binarySignShift)
	for _, w := range words {
		b = binary.LittleEndian.AppendUint32(b, w)
	}
	return b
}

func (id fieldID) isIPv4Addr() bool { return id == fIPSrcAddr || id == fIPDstAddr }

// FromBinary reads what Binary writes. Hostile bytes are refused as the driver refuses them, under Compat22 too: edges lead
// forward, fields belong to the layer, indices and constants are such as the driver takes, and what has no meaning is zero. The
// error is an *Error of CodeBadObject whose Src is the test at fault, in hexadecimal. The program's text is its object form. b
// is not kept.
func FromBinary(b []byte, layer addr.Layer, opts ...Option) (*Program, error) {
	n := len(b) / binaryTest
	if n == 0 || n > maxTests || len(b)%binaryTest != 0 {
		return nil, newError("", 0, CodeBadObject, "a binary program is %d bytes for each of 1 to %d tests, and not %d bytes", binaryTest, maxTests, len(b))
	}
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	p := &Program{layer: layer, compat22: o.compat22, tests: make([]test, n)}
	for i := range p.tests {
		raw := (*[binaryTest]byte)(b[i*binaryTest:])
		if err := p.tests[i].fromBinary(raw, i, n, layer); err != nil {
			return nil, newError(hex.EncodeToString(raw[:]), 0, CodeBadObject, "bad binary program: test %d of %d: %v", i+1, n, err)
		}
	}
	p.src, _ = p.Object()
	p.code = lower(p.tests, layer, o.compat22)
	return p, nil
}

// fromBinary reads test i of n.
func (t *test) fromBinary(raw *[binaryTest]byte, i, n int, layer addr.Layer) error {
	head, tail := binary.LittleEndian.Uint32(raw[:]), binary.LittleEndian.Uint32(raw[4:])
	field := head & (1<<binaryFieldBits - 1)
	operator := head >> binaryOpShift & (1<<binaryOpBits - 1)
	switch {
	case field >= uint32(numDriverFields):
		return fmt.Errorf("there is no field %d", field)
	case operator >= uint32(numOps):
		return fmt.Errorf("there is no operator %d", operator)
	case tail>>(binarySignShift+1) != 0:
		return errors.New("the reserved bits are not zero")
	}
	t.field, t.op = fieldID(field), op(operator)
	t.value.neg = tail>>binarySignShift != 0
	t.succ, t.fail = uint16(head>>binaryEdgeShift), uint16(tail)
	for _, edge := range [2]uint16{t.succ, t.fail} {
		if edge != accept && edge != reject && (int(edge) <= i || int(edge) >= n) {
			return errEdge
		}
	}
	if err := t.constantFromBinary(raw); err != nil {
		return err
	}
	return t.legal(layer, false)
}

// constantFromBinary reads the words of the constant. Those that the field has no use for must be what the driver wants there.
func (t *test) constantFromBinary(raw *[binaryTest]byte) error {
	var words, want [4]uint32
	for i := range words {
		words[i] = binary.LittleEndian.Uint32(raw[binaryWordsAt+4*i:])
	}
	t.value.mag = u128{uint64(words[3])<<32 | uint64(words[2]), uint64(words[1])<<32 | uint64(words[0])}
	used := t.field.words()
	switch {
	case t.field.size() != 0:
		if i := int32(words[1]); i < -maxByte || i > maxByte {
			return errIndex
		}
		t.index, t.value.mag.lo = int(int32(words[1])), uint64(words[0])
		used = 2
	case t.field.isIPv4Addr():
		used, want[1] = 1, mappedPrefix>>32
	}
	for i := used; i < len(words); i++ {
		if words[i] != want[i] {
			return fmt.Errorf("word %d of the constant of %s is %#x, and must be %#x", i, fields[t.field].name, words[i], want[i])
		}
	}
	return nil
}

package windrv

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/filter"
)

// WinDivert's driver gets two tests wrong (2.0 to 2.2.2): it reads ipv6.FlowLabel with its bytes out of order, and at FLOW and
// SOCKET it takes every event for one of neither family. The first becomes "ipv6", which lets through more, and the handle asks
// the whole filter again; the second is said by the local address, exactly.

// The parts of WinDivert's binary form of a test that are changed here; see filter.Program.Binary.
const (
	testSize = 24

	fieldIP        = 5
	fieldIPv6      = 6
	fieldFlowLabel = 24
	fieldLocalAddr = 61

	opEqual        = 0
	opNotEqual     = 1
	opLess         = 2
	opAtMost       = 3
	opGreater      = 4
	opAtLeast      = 5
	edgeAccept     = 0x7ffe
	testsMax       = 255
	mappedPrefix   = 0xffff // the second word of ::ffff:a.b.c.d
	fieldMask      = 1<<11 - 1
	opShift, opMax = 11, 1<<5 - 1
	edgeShift      = 16
)

// driverTest is one test as the driver has it.
type driverTest struct {
	field, op  uint32
	succ, fail uint16
	negative   bool
	words      [4]uint32
}

// forDriver returns the program that the driver is to run in place of p, and whether p must be asked again for what that lets
// through.
func forDriver(p *divertdrv.Filter, flags divertdrv.Flags) (run *divertdrv.Filter, again bool, err error) {
	raw, err := p.Binary()
	if err != nil {
		return nil, false, err
	}
	tests := decodeTests(raw)
	again = coarsen(tests, p.Layer())
	mended := exactFamilies(tests, p.Layer())
	if len(mended) == len(tests) && !again {
		return p, false, nil
	}
	if again && flags&divertdrv.Sniff == 0 && flags&(divertdrv.DropAll|divertdrv.RecvOnly) != 0 {
		return nil, false, fmt.Errorf("%w: WinDivert's driver misreads ipv6.FlowLabel, and what a handle with %v takes cannot be given back",
			divertdrv.ErrUnsupported, flags)
	}
	if len(mended) > testsMax {
		return nil, false, fmt.Errorf("%w: with what WinDivert's driver needs for ip and ipv6 at %v the filter has %d tests, more than %d",
			divertdrv.ErrUnsupported, p.Layer(), len(mended), testsMax)
	}
	run, err = filter.FromBinary(encodeTests(mended), p.Layer())
	return run, again, err
}

// coarsen has tests of the flow label let every IPv6 packet through, but for those where the order of its bytes is nothing.
func coarsen(tests []driverTest, l divertdrv.Layer) (any bool) {
	for i := range tests {
		t := &tests[i]
		if l > divertdrv.NetworkForward || t.field != fieldFlowLabel || t.negative || t.zeroOrNot() {
			continue
		}
		*t = driverTest{field: fieldIPv6, op: opNotEqual, succ: edgeAccept, fail: t.fail}
		any = true
	}
	return any
}

// zeroOrNot says that the test only asks whether the field is zero, or nothing.
func (t *driverTest) zeroOrNot() bool {
	return t.words[0] == 0 || t.words[0] == 1 && (t.op == opLess || t.op == opAtLeast)
}

// exactFamilies says ip and ipv6 by the local address, which is ::ffff:a.b.c.d for IPv4: two tests for one.
func exactFamilies(tests []driverTest, l divertdrv.Layer) []driverTest {
	if l != divertdrv.LayerFlow && l != divertdrv.LayerSocket {
		return tests
	}
	at := make([]uint16, len(tests)) // where each test comes to stand
	n := uint16(0)
	for i := range tests {
		at[i] = n
		n++
		if tests[i].asksFamily() {
			n++
		}
	}
	moved := func(edge uint16) uint16 {
		if int(edge) < len(at) {
			return at[edge]
		}
		return edge
	}
	all := make([]driverTest, 0, n)
	for i := range tests {
		t := tests[i]
		t.succ, t.fail = moved(t.succ), moved(t.fail)
		if t.asksFamily() {
			all = append(all, t.byAddress(at[i]+1)...)
		} else {
			all = append(all, t)
		}
	}
	return all
}

// asksFamily says that the test tells the families apart.
func (t *driverTest) asksFamily() bool {
	return (t.field == fieldIP || t.field == fieldIPv6) && t.holds(0) != t.holds(1)
}

// holds says what the test makes of a value; it is asked for 0 and 1 only.
func (t *driverTest) holds(value int64) bool {
	c := int64(t.words[0])
	if t.words[1]|t.words[2]|t.words[3] != 0 {
		c = math.MaxInt64
	}
	if t.negative {
		c = -c
	}
	switch t.op {
	case opEqual:
		return value == c
	case opNotEqual:
		return value != c
	case opLess:
		return value < c
	case opAtMost:
		return value <= c
	case opGreater:
		return value > c
	}
	return value >= c
}

// byAddress is the test as two, of which the second stands at next.
func (t *driverTest) byAddress(next uint16) []driverTest {
	four, six := t.fail, t.succ
	if t.holds(1) == (t.field == fieldIP) {
		four, six = t.succ, t.fail
	}
	return []driverTest{
		{field: fieldLocalAddr, op: opAtLeast, words: [4]uint32{0, mappedPrefix}, succ: next, fail: six},
		{field: fieldLocalAddr, op: opAtMost, words: [4]uint32{math.MaxUint32, mappedPrefix}, succ: four, fail: six},
	}
}

func decodeTests(raw []byte) []driverTest {
	tests := make([]driverTest, 0, len(raw)/testSize)
	for ; len(raw) >= testSize; raw = raw[testSize:] {
		head, tail := binary.LittleEndian.Uint32(raw), binary.LittleEndian.Uint32(raw[4:])
		t := driverTest{
			field: head & fieldMask, op: head >> opShift & opMax, succ: uint16(head >> edgeShift),
			fail: uint16(tail), negative: tail>>edgeShift&1 != 0,
		}
		for i := range t.words {
			t.words[i] = binary.LittleEndian.Uint32(raw[8+4*i:])
		}
		tests = append(tests, t)
	}
	return tests
}

func encodeTests(tests []driverTest) (raw []byte) {
	for i := range tests {
		t := &tests[i]
		tail := uint32(t.fail)
		if t.negative {
			tail |= 1 << edgeShift
		}
		raw = binary.LittleEndian.AppendUint32(raw, t.field|t.op<<opShift|uint32(t.succ)<<edgeShift)
		raw = binary.LittleEndian.AppendUint32(raw, tail)
		for _, w := range t.words {
			raw = binary.LittleEndian.AppendUint32(raw, w)
		}
	}
	return raw
}

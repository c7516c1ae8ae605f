package filter

import (
	"errors"
	"math"
	"strings"

	"github.com/weirnet/weir/divertdrv/addr"
)

// A compiled object is WinDivert's own text form of a program: objectPrefix, a version, the number of tests, and for each test
// "_", field, operator, sign, the words of the constant, and the two edges. It may stand wherever a filter may.
const (
	objectPrefix  = "@WinDiv_"
	objectVersion = 0
)

// digits: 32 for the digits of a number but the last, then 32 for the last, which so ends it.
const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz+="

// Most digits of a number, by what it is.
const (
	versionDigits = 4
	lengthDigits  = 2
	fieldDigits   = 2
	opDigits      = 2
	signDigits    = 1
	wordDigits    = 7
	edgeDigits    = 2
)

// Object returns the program in WinDivert's compiled form, which Parse and the driver take in place of a text. The driver
// knows no other answers than its own: where the default differs from Compat22 on ipv6.FlowLabel, and on ip and ipv6 at FLOW
// and SOCKET, it still gives those. The error is always nil for a program of this version of the language.
func (p *Program) Object() (string, error) {
	var b strings.Builder
	b.WriteString(objectPrefix)
	writeNumber(&b, objectVersion)
	writeNumber(&b, uint32(len(p.tests)))
	for i := range p.tests {
		t := &p.tests[i]
		b.WriteByte('_')
		writeNumber(&b, uint32(t.field))
		writeNumber(&b, uint32(t.op))
		writeNumber(&b, uint32(b2u(t.value.neg)))
		for _, w := range t.words() {
			writeNumber(&b, w)
		}
		writeEdge(&b, t.succ)
		writeEdge(&b, t.fail)
	}
	return b.String(), nil
}

// words returns the words of the constant as an object has them, the lowest first; an indexed field has its index among them.
func (c *comparison) words() []uint32 {
	m := c.value.mag
	all := [4]uint32{uint32(m.lo), uint32(m.lo >> 32), uint32(m.hi), uint32(m.hi >> 32)}
	switch {
	case c.field.size() != 0:
		return []uint32{all[0], uint32(c.index + maxByte)}
	case c.field.header() == fIP: // addresses: the second word is known
		return all[:1]
	}
	return all[:c.field.words()]
}

func writeNumber(b *strings.Builder, v uint32) {
	shift := 0
	for v>>shift >= 32 {
		shift += 5
	}
	for ; shift > 0; shift -= 5 {
		b.WriteByte(digits[v>>shift&31])
	}
	b.WriteByte(digits[32+v&31])
}

func writeEdge(b *strings.Builder, edge uint16) {
	switch edge {
	case accept:
		b.WriteByte('A')
	case reject:
		b.WriteByte('X')
	default:
		b.WriteByte('L')
		writeNumber(b, uint32(edge))
	}
}

// What is wrong with objects.
var (
	errObject = errors.New("damaged") // when there is no better cause
	errEdge   = errors.New("an edge does not lead forward")
	errIndex  = errors.New("an index is out of bounds")
)

// objectReader reads an object from the front. After the first failure it reads zeros.
type objectReader struct {
	rest string
	err  error
}

func (r *objectReader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.rest = ""
}

// number reads a number of at most max digits and at most limit.
func (r *objectReader) number(max int, limit uint32) uint32 {
	v := uint64(0)
	for i := range min(max, len(r.rest)) {
		d := strings.IndexByte(digits, r.rest[i])
		if d < 0 {
			break
		}
		v = v<<5 | uint64(d&31)
		if d < 32 {
			continue
		}
		r.rest = r.rest[i+1:]
		if v > uint64(limit) {
			break
		}
		return uint32(v)
	}
	r.fail(errObject)
	return 0
}

func (r *objectReader) byte() byte {
	if r.rest == "" {
		r.fail(errObject)
		return 0
	}
	c := r.rest[0]
	r.rest = r.rest[1:]
	return c
}

// decodeObject reads a compiled object. Hostile ones are refused: edges lead forward, fields belong to the layer, and by
// default constants are such as the driver takes.
func decodeObject(src string, layer addr.Layer, compat22 bool) ([]test, error) {
	r := &objectReader{rest: strings.TrimPrefix(src, objectPrefix)}
	r.number(versionDigits, objectVersion)
	tests := make([]test, r.number(lengthDigits, maxTests))
	for i := range tests {
		if r.err == nil {
			r.test(&tests[i], i, len(tests), layer, compat22)
		}
	}
	switch {
	case r.err == nil && len(tests) == 0:
		r.fail(errors.New("no tests"))
	case r.err == nil && r.rest != "":
		r.fail(errors.New("more bytes behind its last test"))
	}
	if r.err != nil {
		return nil, newError(src, 0, CodeBadObject, "bad compiled object: %v", r.err)
	}
	return tests, nil
}

func (r *objectReader) test(t *test, i, n int, layer addr.Layer, compat22 bool) {
	if r.byte() != '_' {
		r.fail(errObject)
	}
	t.field = fieldID(r.number(fieldDigits, uint32(numDriverFields-1)))
	t.op = op(r.number(opDigits, uint32(numOps-1)))
	t.value.neg = r.number(signDigits, 1) == 1
	r.constant(&t.comparison)
	t.succ, t.fail = r.edge(i, n), r.edge(i, n)
	if r.err != nil {
		return
	}
	if err := t.legal(layer, compat22); err != nil {
		r.fail(err)
	}
}

// legal says what is wrong with a test that no text was compiled to.
func (c *comparison) legal(layer addr.Layer, compat22 bool) error {
	size := c.field.size()
	switch why := c.refused(); {
	case !fields[c.field].layers.has(layer):
		return errors.New(layerHint(c.field, layer))
	case size != 0 && (c.index > maxByte-size || c.index < 0 && -c.index < size):
		return errIndex
	case why != "" && !compat22:
		return errors.New(why)
	}
	return nil
}

func (r *objectReader) constant(c *comparison) {
	word := func() uint64 { return uint64(r.number(wordDigits, math.MaxUint32)) }
	c.value.mag.lo = word()
	switch {
	case c.field.size() != 0:
		c.index = int(r.number(wordDigits, 2*maxByte)) - maxByte
	case c.field == fIPSrcAddr, c.field == fIPDstAddr:
		c.value.mag.lo |= mappedPrefix
	case c.field.words() == 2:
		c.value.mag.lo |= word() << 32
	case c.field.words() == 4:
		c.value.mag.lo |= word() << 32
		c.value.mag.hi = word()
		c.value.mag.hi |= word() << 32
	}
}

func (r *objectReader) edge(from, n int) uint16 {
	switch r.byte() {
	case 'A':
		return accept
	case 'X':
		return reject
	case 'L':
		if to := int(r.number(edgeDigits, uint32(n-1))); to > from {
			return uint16(to)
		}
	}
	r.fail(errEdge)
	return reject
}

package lower_test

import (
	"encoding/binary"
	"testing"

	"github.com/weirnet/weir/divertdrv/filter"
)

// What programs look like in their binary form.
const (
	binaryTest = 24
	accept     = 0x7ffe
	reject     = 0x7fff
)

// rewired returns the program with other edges, as no text makes them: an object may lead anywhere but back. ends is how many
// of 100 edges leave it before its last tests.
func (d dice) rewired(t testing.TB, p *filter.Program, ends int) *filter.Program {
	t.Helper()
	b, err := p.Binary()
	if err != nil {
		t.Fatal(err)
	}
	n := len(b) / binaryTest
	edge := func(i int) uint16 {
		if i+1 >= n || d.chance(ends) {
			return []uint16{accept, reject}[d.IntN(2)]
		}
		return uint16(i + 1 + d.IntN(min(n-i-1, 4)))
	}
	for i := range n {
		binary.LittleEndian.PutUint16(b[i*binaryTest+2:], edge(i))
		binary.LittleEndian.PutUint16(b[i*binaryTest+4:], edge(i))
	}
	q, err := filter.FromBinary(b, p.Layer())
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// joined returns a program of the tests of several, of at most n.
func joined(t testing.TB, n int, programs ...*filter.Program) *filter.Program {
	t.Helper()
	var b []byte
	for _, p := range programs {
		more, err := p.Binary()
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(more); i += binaryTest {
			binary.LittleEndian.PutUint16(more[i+2:], accept) // edges count from another place now
			binary.LittleEndian.PutUint16(more[i+4:], reject)
		}
		b = append(b, more...)
	}
	q, err := filter.FromBinary(b[:min(len(b), n*binaryTest)], programs[0].Layer())
	if err != nil {
		t.Fatal(err)
	}
	return q
}

package lower_test

import (
	"encoding/binary"
	"testing"

	"github.com/weirnet/weir/divertdrv/filter"
)

// What programs look like in their binary form.
const (
	binaryTest = 24
	accept     = filter.Accept
	reject     = filter.Reject
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

package filter

// Where a Test leads out of the program, with WinDivert's numbers.
const (
	Accept = accept
	Reject = reject
)

// Test is one test of a compiled program, for those who run programs elsewhere than Match does, as in a kernel. Where Match
// finds that the packet has no such field, the test fails, whatever it compares with.
type Test struct {
	Field string // its name in the language
	Index int    // of an indexed field: the byte offset of the word, from the end where negative
	Text  string // the test as Format writes it

	// The constant is a number of sign and magnitude (High<<64 | Low). The test holds for values below it, at it, and above it
	// as Holds says, in that order. Minus zero lies just below zero.
	Negative  bool
	High, Low uint64
	Holds     [3]bool

	True, False int // the test at which it goes on, always a later one, or Accept or Reject
}

// Compiled returns the tests of the program, 1 to 255, of which the first is asked first.
func (p *Program) Compiled() []Test {
	tests := make([]Test, len(p.tests))
	for i := range p.tests {
		c := p.tests[i].comparison
		text := c.spell(p.layer)
		c.truncate()
		tests[i] = Test{
			Field: fields[c.field].name, Index: c.index, Text: text,
			Negative: c.value.neg, High: c.value.mag.hi, Low: c.value.mag.lo,
			Holds: [3]bool{c.op.holds(-1), c.op.holds(0), c.op.holds(1)},
			True:  int(p.tests[i].succ), False: int(p.tests[i].fail),
		}
	}
	return tests
}

// IsCompat22 says that the program was compiled with Compat22.
func (p *Program) IsCompat22() bool { return p.compat22 }

package filter

// op is a comparison, with WinDivert's numbers.
type op uint8

const (
	opEQ op = iota
	opNEQ
	opLT
	opLEQ
	opGT
	opGEQ
	numOps
)

// negate returns the comparison that holds where o does not.
func (o op) negate() op { return [numOps]op{opNEQ, opEQ, opGEQ, opGT, opLEQ, opLT}[o] }

// holds says whether o holds between two numbers that compare as c: negative, 0 or positive.
func (o op) holds(c int) bool {
	switch o {
	case opEQ:
		return c == 0
	case opNEQ:
		return c != 0
	case opLT:
		return c < 0
	case opLEQ:
		return c <= 0
	case opGT:
		return c > 0
	}
	return c >= 0
}

// comparison is one test of the language: a field, an operator into which every not was pushed, and a constant.
type comparison struct {
	field fieldID
	op    op
	index int // byte offset of an indexed field; from the end where negative
	value number
	pos   int // of the constant in the text, of the field where there is none
	at    int // of the test in the text, with its nots; where the compiler made it of another, and in objects, 0
	end   int // behind it
}

type nodeKind uint8

const (
	nodeTest    nodeKind = iota
	nodeAnd              // a and b
	nodeOr               // a or b
	nodeTernary          // a ? b : c
)

// tree is a node of the parsed text. Chains of and lean left, chains of or lean right, as in WinDivert.
type tree struct {
	kind    nodeKind
	test    comparison // of nodeTest
	a, b, c *tree
}

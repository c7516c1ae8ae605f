package filter

import "slices"

// maxTests is how many tests the driver takes. (WinDivert's compiler passes 256, whose length it then writes as 0.)
const maxTests = 255

// Edges that lead out of the program, with WinDivert's numbers.
const (
	accept = 0x7ffe
	reject = 0x7fff
)

// test is one step of a flat program: where the comparison holds it goes on at succ, else, and where the packet has no such
// field, at fail. Both lead to a later test, or are accept or reject.
type test struct {
	comparison
	succ, fail uint16
}

// constant is the program of a filter that is decided: one test whose edges are the same.
func constant(edge uint16) []test {
	return []test{{comparison: comparison{field: fZero, op: opEQ}, succ: edge, fail: edge}}
}

// flattener turns a tree into tests from the last to the first, so that the target of an edge always exists.
type flattener struct {
	src      string
	compat22 bool
	tests    []test // in reverse; edges count from the end until flatten turns them round
	folded   int    // tests that only WinDivert emits, for its limits
}

// flatten returns the program of a tree: at most maxTests tests, the first of which is where it starts.
func flatten(src string, t *tree, compat22 bool) ([]test, error) {
	f := &flattener{src: src, compat22: compat22}
	entry, err := f.tree(t, accept, reject)
	if err != nil {
		return nil, err
	}
	decided := entry == accept || entry == reject
	if n := len(f.tests) + f.folded; n > maxTests && (!decided || f.folded > 0) {
		return nil, f.tooLong()
	}
	if decided {
		return constant(entry), nil
	}
	f.tests = f.tests[:entry+1] // what was emitted after the entry, before it in the program, cannot be reached
	last := entry
	for i := range f.tests {
		t := &f.tests[i]
		if t.succ < accept {
			t.succ = last - t.succ
		}
		if t.fail < accept {
			t.fail = last - t.fail
		}
	}
	slices.Reverse(f.tests)
	return f.tests, nil
}

// tree emits t so that it goes on at succ or fail, and returns where it starts.
func (f *flattener) tree(t *tree, succ, fail uint16) (entry uint16, err *Error) {
	switch t.kind {
	case nodeAnd:
		if succ, err = f.tree(t.b, succ, fail); err != nil {
			return 0, err
		}
		return f.tree(t.a, succ, fail)
	case nodeOr:
		if fail, err = f.tree(t.b, succ, fail); err != nil {
			return 0, err
		}
		return f.tree(t.a, succ, fail)
	case nodeTernary:
		other, err := f.tree(t.c, succ, fail)
		if err != nil {
			return 0, err
		}
		then, err := f.tree(t.b, succ, fail)
		if err != nil {
			return 0, err
		}
		return f.tree(t.a, then, other)
	}
	return f.test(t.test, succ, fail)
}

// test emits one comparison, or where its answer is known, nothing or the test of its header.
func (f *flattener) test(c comparison, succ, fail uint16) (entry uint16, err *Error) {
	if holds, known := c.fold(); known {
		header := c.field.header()
		if header == fZero {
			if holds {
				return succ, nil
			}
			return fail, nil
		}
		if !holds && !f.compat22 {
			f.folded++
			return fail, f.checkLength()
		}
		// True for every value: the header decides. False for every value: WinDivert compares the header's field with 0
		// where it should give up, and so takes every packet that lacks it.
		c = comparison{field: header, op: opEQ, value: unsigned(b2u(holds)), pos: c.pos}
	}
	f.tests = append(f.tests, test{comparison: c, succ: succ, fail: fail})
	return uint16(len(f.tests) - 1), f.checkLength()
}

func b2u(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

// fold decides a comparison that is the same for all values of the field.
func (c *comparison) fold() (holds, known bool) {
	if !c.field.folds() {
		return false, false
	}
	v := fields[c.field].values
	lo, hi := v.lo.cmp(c.value), v.hi.cmp(c.value)
	switch c.op {
	case opEQ, opNEQ:
		if lo > 0 || hi < 0 {
			return c.op == opNEQ, true
		}
		return c.op == opEQ, lo == 0 && hi == 0
	}
	holds = c.op.holds(lo)
	return holds, holds == c.op.holds(hi)
}

// checkLength stops where WinDivert's compiler does.
func (f *flattener) checkLength() *Error {
	if len(f.tests)+f.folded <= maxTests+1 {
		return nil
	}
	return f.tooLong()
}

func (f *flattener) tooLong() *Error {
	return newError(f.src, 0, CodeTooLong, "more than %d tests, which is what the driver takes; use several filters, or compare ranges", maxTests)
}

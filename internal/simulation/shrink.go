package simulation

import "slices"

// runsMax bounds how often Shrink runs a program.
const runsMax = 3000

// Shrink takes operations out of a program that breaks the contract, for as long as it still does. What is left may break it in
// another way.
func Shrink(p Program, o Options) Program {
	o.Trace = false
	runs := 0
	breaks := func(ops []Op) bool {
		runs++
		q := p
		q.Ops = ops
		return runs <= runsMax && Run(q, o).Err != nil
	}
	if at := Run(p, o).At; at < len(p.Ops) {
		p.Ops = slices.Clone(p.Ops[:at+1])
	}
	for n := max(1, len(p.Ops)/2); n > 0; {
		smaller := false
		for at := 0; at+n <= len(p.Ops); {
			if ops := slices.Delete(slices.Clone(p.Ops), at, at+n); breaks(ops) {
				p.Ops, smaller = ops, true
			} else {
				at += n
			}
		}
		if !smaller {
			n /= 2
		}
	}
	return p
}

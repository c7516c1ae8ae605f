package bench

import (
	"cmp"
	"math"
	"slices"
)

// Change is a measure of a variant in two reports.
type Change struct {
	Case, Variant, Metric string
	Before, After         float64 // medians
	RunsBefore, RunsAfter int
	// P is how likely such a difference or a greater one is if nothing changed (Mann–Whitney, two-sided).
	P           float64
	Significant bool // P is below Alpha
}

// Alpha is the P below which a change is taken for one.
const Alpha = 0.05

// Compare looks at what both reports have: the metric that each case is compared by, and allocations. What is in one of them only is
// left out. A change of all variants alike is the machine's: look at the ratios then.
func Compare(before, after *Report) (all []Change) {
	for i := range after.Results {
		now := &after.Results[i]
		old := before.Result(now.Scenario, now.Params.String())
		if old == nil {
			continue
		}
		for j := range now.Outcomes {
			o := old.Outcome(now.Outcomes[j].Variant)
			if o == nil {
				continue
			}
			for _, m := range []string{now.By, ByAllocs} {
				if c, ok := compareSeries(o.Series(m), now.Outcomes[j].Series(m)); ok && (m != ByAllocs || c.Before >= AllocsNone || c.After >= AllocsNone) {
					c.Case, c.Variant, c.Metric = now.Name(), o.Variant, m
					all = append(all, c)
				}
			}
		}
	}
	return all
}

func compareSeries(before, after []float64) (c Change, ok bool) {
	if len(before) == 0 || len(after) == 0 {
		return c, false
	}
	c.Before, c.After = summarize(before).Median, summarize(after).Median
	c.RunsBefore, c.RunsAfter = len(before), len(after)
	c.P = mannWhitney(before, after)
	c.Significant = c.P < Alpha
	return c, true
}

// mannWhitney is the two-sided P of the U test of H. B. Mann and D. R. Whitney (1947): exact for few values without ties, else by
// the normal distribution, with corrections for ties and continuity.
func mannWhitney(a, b []float64) float64 {
	u, ties := uOf(a, b)
	n, m := float64(len(a)), float64(len(b))
	if ties == 0 && len(a) <= exactMax && len(b) <= exactMax {
		return exactP(int(min(u, n*m-u)), len(a), len(b))
	}
	variance := n * m / 12 * (n + m + 1 - ties/((n+m)*(n+m-1)))
	if variance <= 0 {
		return 1 // all values are one
	}
	z := max(math.Abs(u-n*m/2)-0.5, 0) / math.Sqrt(variance)
	return math.Erfc(z / math.Sqrt2)
}

// exactMax bounds the work of the exact distribution.
const exactMax = 30

// uOf counts pairs in which a's value is the greater one, and sums t³-t over groups of t equal values.
func uOf(a, b []float64) (u, ties float64) {
	type value struct {
		v     float64
		first bool
	}
	var all []value
	for _, v := range a {
		all = append(all, value{v, true})
	}
	for _, v := range b {
		all = append(all, value{v, false})
	}
	slices.SortFunc(all, func(x, y value) int { return cmp.Compare(x.v, y.v) })
	ranks := 0.0
	for i := 0; i < len(all); {
		end := i
		for end < len(all) && all[end].v == all[i].v {
			end++
		}
		t := float64(end - i)
		ties += t*t*t - t
		for ; i < end; i++ {
			if all[i].first {
				ranks += float64(end) - (t-1)/2 // the mean rank of the group, from 1
			}
		}
	}
	n := float64(len(a))
	return ranks - n*(n+1)/2, ties
}

// exactP is twice the chance of a U of at most u, when all orders of n and m values are as likely. ways[j][k] counts the orders of i
// and j values with U = k.
func exactP(u, n, m int) float64 {
	ways := make([][]float64, m+1)
	for j := range ways {
		ways[j] = make([]float64, n*m+1)
		ways[j][0] = 1 // of no values of the first kind
	}
	for range n { // one more of the first kind
		next := make([][]float64, m+1)
		for j := range next {
			next[j] = make([]float64, n*m+1)
			for k := range next[j] {
				if k >= j { // the greatest is of the first kind: it is above all j
					next[j][k] += ways[j][k-j]
				}
				if j > 0 {
					next[j][k] += next[j-1][k]
				}
			}
		}
		ways = next
	}
	low, total := 0.0, 0.0
	for k, w := range ways[m] {
		total += w
		if k <= u {
			low += w
		}
	}
	return min(2*low/total, 1)
}

package bench

import (
	"math"
	"slices"
	"strings"
)

// Summary says where a series of values lies.
type Summary struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	Spread float64 `json:"spread"` // between the quartiles, as a share of the median
}

func summarize(series []float64) Summary {
	s := slices.Sorted(slices.Values(series))
	if len(s) == 0 {
		return Summary{}
	}
	m := quantile(s, 0.5)
	sum := Summary{Median: m, Min: s[0], Max: s[len(s)-1]}
	if m != 0 {
		sum.Spread = (quantile(s, 0.75) - quantile(s, 0.25)) / math.Abs(m)
	}
	return sum
}

// quantile of a sorted series, between neighbours by their distance.
func quantile(sorted []float64, q float64) float64 {
	at := q * float64(len(sorted)-1)
	low := int(at)
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (at-float64(low))*(sorted[high]-sorted[low])
}

// ratios divides run by run.
func ratios(a, b []float64) (all []float64) {
	for i := range min(len(a), len(b)) {
		if b[i] != 0 {
			all = append(all, a[i]/b[i])
		}
	}
	return all
}

// rises says whether more of a metric is better.
func rises(name string) bool {
	return strings.HasSuffix(name, "/s") || strings.HasSuffix(name, "-share")
}

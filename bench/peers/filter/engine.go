package filter

// Engine is one way to run a filter.
type Engine struct {
	Name string
	// Make compiles a filter.
	Make func(Name) (Matcher, error)
}

// Matcher sets hits[i] to the filter's answer for packet i of t, for all of hits. The loop over the packets is the engine's own, so
// that none pays for a call through an interface for each packet.
type Matcher func(t *Traffic, hits []bool)

// Engines lists all, Weir's first; BPF is the one that the others are measured by.
var Engines = []Engine{
	{"Weir MatchBatch", weirBatch},
	{"Weir Match", weirMatch},
	{"Weir parse and Match", weirParse},
	{BPF, bpfVM},
	{"expr", exprVM},
	{"cel-go", celProgram},
	{"closures", closures},
	{"native Go", native},
}

// BPF is the name of the engine that the others are measured by.
const BPF = "x/net/bpf VM"

// Rate is the share of packets that match.
func Rate(hits []bool) float64 {
	n := 0
	for _, hit := range hits {
		if hit {
			n++
		}
	}
	return float64(n) / float64(len(hits))
}

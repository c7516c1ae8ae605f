package filter

// Engine is one way to run a filter.
type Engine struct {
	Name string
	// Make compiles a filter.
	Make func(Name) (Matcher, error)
}

// Matcher sets hits[i] to the filter's answer for p[i]. The loop over the packets is the engine's own, so that none pays for a
// call through an interface for each packet; hits is as long as p.
type Matcher func(p []Packet, hits []bool)

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

package filter

import (
	"fmt"

	"github.com/weirnet/weir/bench/workload"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/interpreter"
)

// activation gives cel-go the fields of a packet without a map.
type activation struct{ f *Fields }

func (a *activation) Parent() interpreter.Activation { return nil }

func (a *activation) ResolveName(name string) (any, bool) {
	switch name {
	case "outbound":
		return types.Bool(a.f.Outbound), true
	case "loopback":
		return types.Bool(a.f.Loopback), true
	case "tcp":
		return types.Bool(a.f.TCP), true
	case "ip":
		return types.Bool(a.f.IP), true
	case "dst_port":
		return types.Int(a.f.DstPort), true
	case "payload_length":
		return types.Int(a.f.PayloadLength), true
	case "dst_addr":
		return types.Int(a.f.DstAddr), true
	}
	return nil, false
}

func celProgram(n Name) (Matcher, error) {
	env, err := cel.NewEnv(
		cel.Variable("outbound", cel.BoolType), cel.Variable("loopback", cel.BoolType), cel.Variable("tcp", cel.BoolType),
		cel.Variable("ip", cel.BoolType), cel.Variable("dst_port", cel.IntType), cel.Variable("payload_length", cel.IntType),
		cel.Variable("dst_addr", cel.IntType))
	if err != nil {
		return nil, err
	}
	ast, issues := env.Compile(map[Name]string{
		Short:    "tcp && dst_port == 443",
		Medium:   "outbound && tcp && dst_port == 443 && payload_length > 0 && !loopback",
		Ranges20: "ip && (" + workload.JoinSpans("dst_addr >= %d && dst_addr <= %d", " || ", number) + ")",
	}[n])
	if issues.Err() != nil {
		return nil, issues.Err()
	}
	prog, err := env.Program(ast, cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		return nil, err
	}
	var a activation
	return func(t *Traffic, hits []bool) {
		for i := range hits {
			a.f = &t.Fields[i]
			out, _, err := prog.Eval(&a)
			if err != nil {
				panic(fmt.Sprint("cel: ", err)) // a filter of ours over fields that are there
			}
			hits[i] = out == types.True
		}
	}, nil
}

package filter

import (
	"fmt"

	"github.com/weirnet/weir/bench/workload"

	"github.com/expr-lang/expr"
	"github.com/expr-lang/expr/vm"
)

func exprVM(n Name) (Matcher, error) {
	prog, err := expr.Compile(map[Name]string{
		Short:    "TCP && DstPort == 443",
		Medium:   "Outbound && TCP && DstPort == 443 && PayloadLength > 0 && !Loopback",
		Ranges20: "IP && (" + workload.JoinSpans("DstAddr >= %d && DstAddr <= %d", " || ", number) + ")",
	}[n], expr.Env(&Fields{}), expr.AsBool())
	if err != nil {
		return nil, err
	}
	var machine vm.VM // reused, as its documentation advises
	return func(t *Traffic, hits []bool) {
		for i := range hits {
			out, err := machine.Run(prog, &t.Fields[i])
			if err != nil {
				panic(fmt.Sprint("expr: ", err)) // a filter of ours over fields that are there
			}
			hits[i] = out.(bool)
		}
	}, nil
}

package main

import (
	"bufio"
	"fmt"
	"io"

	"github.com/weirnet/weir/bench"
)

// printGates writes every goal beside what was measured, and returns how many were missed.
func printGates(to io.Writer, r *bench.Report) (missed int, err error) {
	gates, err := bench.Gates()
	if err != nil {
		return 0, err
	}
	w := bufio.NewWriter(to)
	fmt.Fprintf(w, "goals: ratios of runs side by side, median (least … most)\n")
	g := newGrid("goal", "of", ">asked", ">measured", "", "state")
	group := ""
	met, unknown := 0, 0
	for i := range gates {
		res := gates[i].Judge(r)
		name := gates[i].Group
		if name == group {
			name = ""
		}
		group = gates[i].Group
		got, span, state := "", "", string(res.State)
		if res.Got != nil {
			got, span = ratioText(res.Got.Median), fmt.Sprintf("(%s … %s)", ratioText(res.Got.Min), ratioText(res.Got.Max))
		}
		switch res.State {
		case bench.GateMet:
			met++
		case bench.GateMissed:
			missed++
			state = "MISSED"
		case bench.GateUnknown:
			unknown++
			state += ": " + res.Why
		}
		g.add(name, gates[i].What, gates[i].Ask(), got, span, state)
	}
	g.print(w)
	fmt.Fprintf(w, "\n%d met, %d missed, %d not measured\n", met, missed, unknown)
	return missed, w.Flush()
}

// ratioText has as many digits as are of use.
func ratioText(v float64) string {
	if v < 1 {
		return fmt.Sprintf("%.3f", v)
	}
	return digits(v)
}

// Command table measures the same filters over the same packets in all engines and prints a table for docs/performance.md.
//
//	go run ./filter/table [-rounds N] [-time D]
//
// A round runs all engines one after the other, and the ratios are of runs of one round, which stand closest in time: so what
// else the machine does falls on both sides. Times are nanoseconds for one packet, of the thread that measures where the platform
// tells these: the median of the rounds, and in parentheses their minimum.
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/weirnet/weir/bench/workload"

	"github.com/weirnet/weir/bench/peers/filter"
)

// evaluator is what WinDivert's own evaluator in C, which parses and then runs the filter, takes of the time of x/net/bpf's VM
// for one hot packet; docs/performance.md says where that comes from.
var evaluator = map[filter.Name]float64{filter.Short: 19.0 / 62.6, filter.Medium: 42.0 / 158, filter.Ranges20: 220.0 / 316}

func main() {
	rounds := flag.Int("rounds", 60, "how often each engine is measured")
	least := flag.Duration("time", time.Millisecond, "how long each measurement takes at least")
	flag.Parse()
	if *rounds < 1 {
		fmt.Fprintln(os.Stderr, "table: -rounds must be at least 1")
		os.Exit(2)
	}
	fmt.Printf("%d rounds of %s; ns for one packet: median (minimum); BPF / it: median of the rounds (of the minima)\n", *rounds, *least)
	for _, s := range []scene{
		{"4,096 mixed packets", workload.Mixed(4096, 1), workload.FilterNames, false},
		{"one hot packet, in the last range", workload.Hot(19, 64), workload.FilterNames, true},
		{"one hot packet, in no range", workload.Hot(39, 64), []filter.Name{filter.Ranges20}, true},
	} {
		for _, name := range s.filters {
			if err := s.compare(name, *rounds, *least); err != nil {
				fmt.Fprintln(os.Stderr, "table:", err)
				os.Exit(1)
			}
		}
	}
}

// scene is packets and what is measured over them.
type scene struct {
	name    string
	traffic *filter.Traffic
	filters []filter.Name
	hot     bool // the C evaluator's share is known for such packets
}

// compare prints the part of the table for one filter.
func (s *scene) compare(name filter.Name, rounds int, least time.Duration) error {
	matchers := make([]filter.Matcher, len(filter.Engines))
	for i, e := range filter.Engines {
		m, err := e.Make(name)
		if err != nil {
			return fmt.Errorf("%s, %s: %w", e.Name, name, err)
		}
		matchers[i] = m
	}
	hits := make([]bool, len(s.traffic.Data))
	times := make([][]float64, len(matchers))
	for round := range rounds + 1 {
		for i, m := range matchers {
			if ns := measure(m, s.traffic, hits, least); round > 0 { // the first one warms up
				times[i] = append(times[i], ns)
			}
		}
	}
	fmt.Printf("\n**%s**, %s: %.1f %% match\n\n", name, s.name, 100*filter.Rate(hits))
	s.print(name, times)
	return nil
}

// print writes the times of all engines, by round.
func (s *scene) print(name filter.Name, times [][]float64) {
	columns, rule := "| | ns | BPF / it |", "|---|---|---|"
	if s.hot {
		columns, rule = columns+" C evaluator, derived / it |", rule+"---|"
	}
	fmt.Println(columns + "\n" + rule)
	base := times[slices.IndexFunc(filter.Engines, func(e filter.Engine) bool { return e.Name == filter.BPF })]
	for i, e := range filter.Engines {
		ratios := make([]float64, len(base))
		for r := range ratios {
			ratios[r] = base[r] / times[i][r]
		}
		ratio := median(ratios)
		least := slices.Min(times[i])
		fmt.Printf("| %s | %.1f (%.1f) | %.1f (%.1f) |", e.Name, median(times[i]), least, ratio, slices.Min(base)/least)
		if s.hot {
			fmt.Printf(" %.1f |", ratio*evaluator[name])
		}
		fmt.Println()
	}
}

// measure returns nanoseconds for one packet.
func measure(m filter.Matcher, traffic *filter.Traffic, hits []bool, least time.Duration) float64 {
	n := 0
	start := spent()
	for spent()-start < least {
		for range 1 + 4096/len(hits) {
			m(traffic, hits)
			n += len(hits)
		}
	}
	return float64(spent()-start) / float64(n)
}

func median(of []float64) float64 {
	of = slices.Sorted(slices.Values(of))
	n := len(of)
	return (of[(n-1)/2] + of[n/2]) / 2
}

// Command table measures the same filters over the same packets in all engines and prints a table for docs/performance.md.
//
//	go run ./filter/table [-rounds N] [-time D]
//
// A round runs all engines one after the other, and the ratios are of runs of one round, which stand closest in time: so what
// else the machine does falls on both sides. Times are nanoseconds for one packet: the median of the rounds, and in parentheses
// their minimum.
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/weirnet/weir/bench/peers/filter"
)

// evaluator is what WinDivert's own evaluator in C, which parses and then runs the filter, takes of the time of x/net/bpf's VM;
// where that comes from stands in docs/performance.md.
var evaluator = map[filter.Name]float64{filter.Short: 19.0 / 62.6, filter.Medium: 42.0 / 158, filter.Ranges20: 220.0 / 308}

func main() {
	rounds := flag.Int("rounds", 15, "how often each engine is measured")
	least := flag.Duration("time", 20*time.Millisecond, "how long each measurement takes at least")
	flag.Parse()
	if *rounds < 1 {
		fmt.Fprintln(os.Stderr, "table: -rounds must be at least 1")
		os.Exit(2)
	}
	fmt.Printf("%d rounds of %s; ns for one packet: median (minimum); BPF / it, median of the rounds\n", *rounds, *least)
	for _, traffic := range []struct {
		name    string
		packets *filter.Traffic
		filters []filter.Name
	}{
		{"4,096 mixed packets", filter.Mixed(4096, 1), filter.Names},
		{"one hot packet, in the last range", filter.Hot(19, 64), filter.Names},
		{"one hot packet, in no range", filter.Hot(39, 64), []filter.Name{filter.Ranges20}},
	} {
		for _, name := range traffic.filters {
			if err := compare(traffic.name, name, traffic.packets, *rounds, *least); err != nil {
				fmt.Fprintln(os.Stderr, "table:", err)
				os.Exit(1)
			}
		}
	}
}

// compare prints the part of the table for one filter over some packets.
func compare(traffic string, name filter.Name, packets *filter.Traffic, rounds int, least time.Duration) error {
	matchers := make([]filter.Matcher, len(filter.Engines))
	for i, e := range filter.Engines {
		m, err := e.Make(name)
		if err != nil {
			return fmt.Errorf("%s, %s: %w", e.Name, name, err)
		}
		matchers[i] = m
	}
	hits := make([]bool, len(packets.Data))
	times := make([][]float64, len(matchers))
	for round := range rounds + 1 {
		for i, m := range matchers {
			if ns := measure(m, packets, hits, least); round > 0 { // the first one warms up
				times[i] = append(times[i], ns)
			}
		}
	}
	fmt.Printf("\n**%s**, %s: %.1f %% match\n\n| | ns | BPF / it | C evaluator, derived / it |\n|---|---|---|---|\n", name, traffic, 100*filter.Rate(hits))
	base := times[slices.IndexFunc(filter.Engines, func(e filter.Engine) bool { return e.Name == filter.BPF })]
	for i, e := range filter.Engines {
		ratios := make([]float64, rounds)
		for r := range ratios {
			ratios[r] = base[r] / times[i][r]
		}
		ratio := median(ratios)
		fmt.Printf("| %s | %.2f (%.2f) | %.1f | %.1f |\n", e.Name, median(times[i]), slices.Min(times[i]), ratio, ratio*evaluator[name])
	}
	return nil
}

// measure returns nanoseconds for one packet.
func measure(m filter.Matcher, packets *filter.Traffic, hits []bool, least time.Duration) float64 {
	n := 0
	start := time.Now()
	for time.Since(start) < least {
		for range 1 + 4096/len(hits) {
			m(packets, hits)
			n += len(hits)
		}
	}
	return float64(time.Since(start).Nanoseconds()) / float64(n)
}

func median(of []float64) float64 {
	of = slices.Sorted(slices.Values(of))
	n := len(of)
	return (of[(n-1)/2] + of[n/2]) / 2
}

// Command table measures the Internet checksum of Weir and of others over the same bytes and prints a table for docs/performance.md.
//
//	go run ./checksum/table [-rounds N] [-time D]
//
// A round runs all of them one after the other, and the ratios are of runs of one round, which stand closest in time: so what else the
// machine does falls on both sides. Times are nanoseconds of the thread that measures, where the platform tells these: the
// median of the rounds, and in parentheses their minimum. Build it with GOEXPERIMENT=simd to have Weir's sum by vectors.
package main

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/weirnet/weir/bench/peers/checksum"
	"github.com/weirnet/weir/bench/peers/internal/spent"
)

var sizes = []int{20, 40, 60, 64, 128, 200, 256, 400, 576, 1500, 9000, 65_000}

func main() {
	rounds := flag.Int("rounds", 100, "how often each one is measured")
	least := flag.Duration("time", 100*time.Microsecond, "how long each measurement takes at least")
	flag.Parse()
	if *rounds < 1 {
		fmt.Fprintln(os.Stderr, "table: -rounds must be at least 1")
		os.Exit(2)
	}
	fmt.Printf("%d rounds of %s; ns: median (minimum); ratio: median of the rounds\n\n|", *rounds, *least)
	for _, p := range checksum.Peers {
		fmt.Printf(" | %s", p.Name)
	}
	rule := "|---"
	for _, p := range checksum.Peers[1:] {
		fmt.Printf(" | %s / Weir", p.Name)
		rule += "|---"
	}
	for range checksum.Peers {
		rule += "|---"
	}
	fmt.Println(" |\n" + rule + "|")
	for _, n := range sizes {
		row(n, *rounds, *least)
	}
}

// row measures all over n bytes and prints the line of the table.
func row(n, rounds int, least time.Duration) {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 31)
	}
	times := make([][]float64, len(checksum.Peers))
	for round := range rounds + 1 {
		for i, p := range checksum.Peers {
			if ns := measure(p.Sum, b, least); round > 0 { // the first one warms up
				times[i] = append(times[i], ns)
			}
		}
	}
	fmt.Printf("| %d B", n)
	for _, t := range times {
		fmt.Printf(" | %.1f (%.1f)", median(t), slices.Min(t))
	}
	for _, t := range times[1:] {
		ratios := make([]float64, rounds)
		for r := range ratios {
			ratios[r] = t[r] / times[0][r]
		}
		fmt.Printf(" | %.2f", median(ratios))
	}
	fmt.Println(" |")
}

var sink uint16

// measure returns nanoseconds for one call.
func measure(sum func([]byte) uint16, b []byte, least time.Duration) float64 {
	calls := 0
	start := spent.Time()
	for spent.Time()-start < least {
		for range 1 + 2_000_000/(len(b)+160) { // reading the clock is a system call, and not to be seen
			sink = sum(b)
			calls++
		}
	}
	return float64(spent.Time()-start) / float64(calls)
}

func median(of []float64) float64 {
	of = slices.Sorted(slices.Values(of))
	n := len(of)
	return (of[(n-1)/2] + of[n/2]) / 2
}

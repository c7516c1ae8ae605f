package simulation

import (
	"flag"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"
)

var (
	seedFlag     = flag.Uint64("seed", 0, "run the program, or the world, of this seed only, and trace it")
	programsFlag = flag.Int("programs", 0, "random programs to run; 0: 1500, or 100,000 with WEIR_LONG=1")
	worldsFlag   = flag.Int("worlds", 0, "random worlds to run; 0: 20, or 1,000 with WEIR_LONG=1")
	durationFlag = flag.Duration("duration", 0, "run programs and worlds for so long each, instead of a number of them")
	firstFlag    = flag.Uint64("first", 1, "seed of the first program and world")
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// seeds calls f with as many seeds as are wanted, or the one.
func seeds(count, short, long int) func(yield func(seed uint64) bool) {
	if os.Getenv("WEIR_LONG") != "" {
		short = long
	}
	if count == 0 {
		count = short
	}
	return func(yield func(uint64) bool) {
		if *seedFlag != 0 {
			yield(*seedFlag)
			return
		}
		began := time.Now()
		for seed := *firstFlag; ; seed++ {
			if *durationFlag > 0 && time.Since(began) > *durationFlag || *durationFlag == 0 && seed-*firstFlag >= uint64(count) {
				return
			}
			if !yield(seed) {
				return
			}
		}
	}
}

// single says that one seed is to be looked at.
func single(t *testing.T) bool {
	t.Helper()
	return *seedFlag != 0
}

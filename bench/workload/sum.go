package workload

import (
	"fmt"
	"math/rand/v2"
	"strconv"
)

// SumSizes are the values of parameter size in scenario checksum, in bytes.
var SumSizes = []int{20, 60, 576, 1500, 9000, 65_000}

// SumData returns that many random bytes.
func SumData(size string, seed uint64) ([]byte, error) {
	n, err := strconv.Atoi(size)
	if err != nil || n < 0 || n > 1<<20 {
		return nil, fmt.Errorf("%q bytes: want a number from 0 to 1048576", size)
	}
	r := rand.New(rand.NewPCG(seed, uint64(n)))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b, nil
}

//go:build !(goexperiment.simd && amd64)

package wire

const (
	vectors   = false
	vectorMin = 0
)

func sumVectors(b []byte, partial uint64) (rest []byte, sum uint64) { return b, partial }

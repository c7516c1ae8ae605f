//go:build !(goexperiment.simd && amd64)

package wire

// Without vectors nothing is long enough for them.
const (
	vectors, wideVectors = false, false
	vectorMin            = 128
)

func sum256([]byte, uint64) uint64 { panic("wire: no vectors in this build") }
func sum512([]byte, uint64) uint64 { panic("wire: no vectors in this build") }

//go:build goexperiment.simd && amd64

package wire

import "testing"

// Without vectors the same build falls back to words.
func TestSumWithoutVectors(t *testing.T) {
	had := vectors
	defer func() { vectors = had }()
	b := make([]byte, 1501)
	for i := range b {
		b[i] = byte(i * 37)
	}
	with := Fold(Sum(b, 0))
	vectors = false
	if without := Fold(Sum(b, 0)); with != without {
		t.Errorf("%#04x with vectors, %#04x without", with, without)
	}
	if !had {
		t.Skip("this processor has no AVX2")
	}
}

package stack

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"

	"github.com/weirnet/weir/divertdrv"
)

// TestFIFO compares the rings with a slice of copies.
func TestFIFO(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var f fifo
		var want [][]byte
		seq := byte(0)
		size := rapid.OneOf(rapid.IntRange(0, 90), rapid.IntRange(1400, 1500), rapid.IntRange(0, 60_000))
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				for range rapid.IntRange(1, 40).Draw(t, "n") {
					seq++
					data := bytes.Repeat([]byte{seq}, size.Draw(t, "size"))
					a := divertdrv.Address{Timestamp: int64(seq)}
					f.push(&a, data, int64(len(want)), 0)
					want = append(want, data)
				}
			},
			"pop": func(t *rapid.T) {
				for range min(len(want), rapid.IntRange(1, 60).Draw(t, "n")) {
					checkOldest(t, &f, want[0])
					f.pop()
					want = want[1:]
				}
			},
			"": func(t *rapid.T) {
				if f.n != len(want) {
					t.Fatalf("%d packets, want %d", f.n, len(want))
				}
				for i := range want { // none may have been overwritten
					e := &f.entries[(f.first+i)&(len(f.entries)-1)]
					if !bytes.Equal(f.bytes[e.off:e.off+e.n], want[i]) {
						t.Fatalf("packet %d of %d is damaged", i, len(want))
					}
				}
			},
		})
	})
}

func checkOldest(t *rapid.T, f *fifo, want []byte) {
	e, data := f.oldest()
	if !bytes.Equal(data, want) || len(want) > 0 && e.addr.Timestamp != int64(want[0]) {
		t.Fatalf("oldest: %d bytes, want %d", len(data), len(want))
	}
	if e.off%ringAlign != 0 {
		t.Fatalf("offset %d", e.off)
	}
}

// In the steady state the rings stay as large as what was in them at once.
func TestFIFOStaysSmall(t *testing.T) {
	var f fifo
	var a divertdrv.Address
	data := make([]byte, 1500)
	for range 2000 {
		for range 64 {
			f.push(&a, data, 0, 0)
		}
		for range 64 {
			f.pop()
		}
	}
	if len(f.bytes) > 2*bytesMin || len(f.entries) > 2*entriesMin {
		t.Errorf("%d bytes, %d entries", len(f.bytes), len(f.entries))
	}
}

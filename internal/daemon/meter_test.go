package daemon

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/weirnet/weir/divertdrv"
)

// However many handles take their part, and whatever of it they give back, all together never receive more than the quota, and
// nobody is refused while there is some.
func TestQuota(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		total := rapid.Uint64Range(1, 2000).Draw(t, "total")
		handles := rapid.Uint64Range(1, 5).Draw(t, "handles")
		q := &quota{handles: handles, left: total}
		taken := make([]int, handles) // by those that wait in Recv
		received := uint64(0)
		for range rapid.IntRange(1, 500).Draw(t, "steps") {
			h := rapid.IntRange(0, int(handles)-1).Draw(t, "handle")
			if taken[h] == 0 {
				left := q.left
				taken[h] = q.take()
				if taken[h] > divertdrv.BatchMax || (taken[h] == 0) != (left == 0) {
					t.Fatalf("took %d of %d", taken[h], left)
				}
				continue
			}
			got := rapid.IntRange(0, taken[h]).Draw(t, "received")
			q.giveBack(taken[h] - got)
			received += uint64(got)
			taken[h] = 0
		}
		waiting := uint64(0)
		for _, n := range taken {
			waiting += uint64(n)
		}
		if received+waiting+q.left != total {
			t.Fatalf("received %d, waiting %d, left %d; want %d in all", received, waiting, q.left, total)
		}
	})
}

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
		for range handles {
			q.conns = append(q.conns, &meteredConn{})
		}
		received := uint64(0)
		for range rapid.IntRange(1, 500).Draw(t, "steps") {
			h := rapid.IntRange(0, int(handles)-1).Draw(t, "handle")
			c := q.conns[h]
			if c.part == 0 {
				left := q.left
				n, holders, changed := q.try(c)
				if n != c.part || n > divertdrv.BatchMax || (n == 0) != (left == 0) {
					t.Fatalf("took %d of %d, and has %d", n, left, c.part)
				}
				if n == 0 && (changed == nil || (len(holders) == 0) != (received == total)) {
					t.Fatalf("%d hold the rest when %d of %d were received", len(holders), received, total)
				}
				continue
			}
			got := rapid.IntRange(0, c.part).Draw(t, "received")
			q.giveBack(c, c.part-got)
			received += uint64(got)
		}
		waiting := uint64(0)
		for _, c := range q.conns {
			waiting += uint64(c.part)
		}
		if received+waiting+q.left != total {
			t.Fatalf("received %d, waiting %d, left %d; want %d in all", received, waiting, q.left, total)
		}
	})
}

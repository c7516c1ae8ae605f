package queue

import (
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirnet/weir/internal/nettest"
)

func dozeUntil(t *testing.T, q *Queue, stop *atomic.Bool) {
	for !stop.Load() {
		began := time.Now()
		if _, err := q.Recv(Doze); err != nil {
			t.Error(err)
			return
		}
		if time.Since(began) < time.Millisecond {
			time.Sleep(time.Millisecond) // others doze
		}
	}
}

// Queues that doze leave a place to other goroutines; where there is only one, they let them have it. How late these are is logged.
func TestDozeLeavesAPlace(t *testing.T) {
	nettest.Need(t, nettest.Root)
	for _, places := range []int{1, 2, 4} {
		before := runtime.GOMAXPROCS(places)
		var stop atomic.Bool
		var over sync.WaitGroup
		var queues []*Queue
		for range places {
			q, err := Open(Config{})
			must(t, err)
			queues = append(queues, q)
			over.Go(func() { dozeUntil(t, q, &stop) })
		}
		crowded := 0
		var late []time.Duration
		for range 200 {
			began := time.Now()
			time.Sleep(time.Millisecond)
			late = append(late, time.Since(began)-time.Millisecond)
			if dozing.Load() > int32(max(places-1, 1)) {
				crowded++ // those that find no place are counted for a moment
			}
		}
		stop.Store(true)
		over.Wait()
		runtime.GOMAXPROCS(before)
		for _, q := range queues {
			must(t, q.Close())
		}
		slices.Sort(late)
		t.Logf("%d places: a timer is late by %v in the median, %v at most", places, late[len(late)/2], late[len(late)-1])
		if crowded > len(late)/2 {
			t.Errorf("%d places: at %d looks of %d all of them were dozed in", places, crowded, len(late))
		}
		if median := late[len(late)/2]; median > 100*time.Millisecond {
			t.Errorf("%d places: a timer is late by %v", places, median)
		}
	}
}

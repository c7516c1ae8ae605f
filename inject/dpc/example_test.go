package dpc_test

import (
	"context"
	"fmt"

	"github.com/weirnet/weir/inject/dpc"
)

// One DPC per flow queue: packets wait in a FIFO of the owner, the DPC drains it. A refusal because the DPC is queued
// already does no harm, since that call is still to come.
func Example() {
	pool, err := dpc.NewPool(dpc.Config{Queues: 2})
	if err != nil {
		fmt.Println(err)
		return
	}

	fifo := make(chan string, 16)
	flow := dpc.New(func(_, _ any) {
		for range len(fifo) {
			fmt.Println("inject", <-fifo)
		}
	})
	flow.SetTarget(1)                  // hash of the flow % pool.Queues()
	flow.SetImportance(dpc.MediumHigh) // at once, in order

	for _, packet := range []string{"SYN", "ACK", "FIN"} {
		fifo <- packet
		pool.Queue(flow, nil, nil)
	}
	if err := pool.Close(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output:
	// inject SYN
	// inject ACK
	// inject FIN
}

// A routine that has more to do than time left queues its own DPC again, behind what waits there already.
func ExampleNewFunc() {
	pool, err := dpc.NewPool(dpc.Config{Queues: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	left := 3
	work := dpc.NewFunc(func(c dpc.Call) {
		fmt.Println("part", left)
		if left--; left > 0 {
			c.Queue(c.DPC, nil, nil)
		}
		if err := c.Pool().Flush(c.Context()); err != nil && left == 0 {
			fmt.Println(err)
		}
	})
	pool.Queue(work, nil, nil)
	for range 3 { // each flush waits for the part that is queued, not for the next
		if err := pool.Flush(context.Background()); err != nil {
			fmt.Println(err)
		}
	}
	if err := pool.Close(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output:
	// part 3
	// part 2
	// part 1
	// dpc: blocking call inside a DPC routine: do it from a goroutine of its own
}

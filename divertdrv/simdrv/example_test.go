package simdrv_test

import (
	"fmt"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/divertdrv/simdrv"
)

// A handle drops what the host sends to one port and passes the rest.
func Example() {
	wire := 0
	sim := simdrv.New(simdrv.Config{
		Source: simdrv.NewTraffic(1, 1000), // packets to work on; without it they come by Send and Receive
		OnWire: func(*divertdrv.Address, []byte) { wire++ },
	})
	h, err := divertdrv.Open("outbound and udp.DstPort == 53", divertdrv.Network, &divertdrv.Options{Driver: sim})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer h.Close()
	b := divertdrv.NewBatch(64, 1<<20)
	for h.Recv(b) == nil {
		for i := range b.Packets() {
			b.Packets()[i].Set(divertdrv.Drop, reason.Filter)
		}
		if err := h.Complete(b); err != nil {
			fmt.Println(err)
			return
		}
	}
	st := h.Stats()
	fmt.Println("questions dropped:", st.Dropped[reason.Filter], "outbound packets left:", wire)
	// Output: questions dropped: 69 outbound packets left: 394
}

// Two hosts and a wire that loses one packet in twenty: the first sends, a handle on the second receives.
func ExampleJoin() {
	sender := simdrv.New(simdrv.Config{Source: simdrv.NewTraffic(1, 1000)})
	receiver := simdrv.New(simdrv.Config{})
	link, err := simdrv.Join(simdrv.Port{Stack: sender}, simdrv.Port{Stack: receiver},
		simdrv.PipeConfig{Faults: simdrv.Faults{Seed: 1, Drop: 0.05}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer link.Close()
	out, err := divertdrv.Open("outbound", divertdrv.Network, &divertdrv.Options{Driver: sender})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer out.Close()
	in, err := divertdrv.Open("inbound", divertdrv.Network, &divertdrv.Options{Driver: receiver, Flags: divertdrv.DropAll})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer in.Close()
	b := divertdrv.NewBatch(64, 1<<20)
	for out.Recv(b) == nil {
		for i := range b.Packets() {
			b.Packets()[i].Set(divertdrv.Pass, 0)
		}
		if err := out.Complete(b); err != nil {
			fmt.Println(err)
			return
		}
	}
	st := link.There.Stats()
	fmt.Println(st.Sent == st.Delivered+st.Dropped, st.Dropped > 0, receiver.Stats().Entered == st.Delivered)
	// Output: true true true
}

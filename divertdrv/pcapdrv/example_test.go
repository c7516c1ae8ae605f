package pcapdrv_test

import (
	"errors"
	"fmt"
	"io"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/pcapdrv"
	"github.com/weirnet/weir/divertdrv/reason"
)

// Takes DNS over UDP out of a capture and writes the rest.
func ExampleOpen() {
	d, err := pcapdrv.Open(pcapdrv.Options{In: "../../testdata/captures/dns.pcap", Writer: io.Discard}) // Out: "rest.pcapng"
	if err != nil {
		fmt.Println(err)
		return
	}
	h, err := divertdrv.Open("udp.DstPort == 53 or udp.SrcPort == 53", divertdrv.Network, &divertdrv.Options{Driver: d})
	if err != nil {
		fmt.Println(err)
		return
	}
	b := divertdrv.NewBatch(64, 1<<18)
	for err == nil {
		if err = h.Recv(b); err != nil {
			break
		}
		for i := range b.Packets() {
			b.Packets()[i].Set(divertdrv.Drop, reason.Filter)
		}
		err = h.Complete(b)
	}
	closed := errors.Join(h.Close(), d.Close())
	hs, s := h.Stats(), d.Stats()
	dropped := hs.DroppedTotal()
	fmt.Println("at its end:", errors.Is(err, divertdrv.ErrShutdown), closed == nil)
	fmt.Println("dropped some, wrote the rest:", dropped > 0, s.PacketsWritten == s.Packets-dropped)
	// Output:
	// at its end: true true
	// dropped some, wrote the rest: true true
}

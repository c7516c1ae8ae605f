package divertdrv_test

import (
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/pcapdrv"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/divertdrv/simdrv"
)

// The loop of every program on the seam: receive a batch, mark its packets, complete it.
func Example() {
	sim := simdrv.New(simdrv.Config{Source: simdrv.NewTraffic(1, 1000)})
	h, err := divertdrv.Open("udp or tcp", divertdrv.Network, &divertdrv.Options{Driver: sim})
	if err != nil {
		log.Fatal(err)
	}
	defer h.Close()
	b := divertdrv.NewBatch(64, 1<<20)
	for {
		if err := h.Recv(b); errors.Is(err, divertdrv.ErrShutdown) {
			break // the source is at its end
		} else if err != nil {
			log.Fatal(err)
		}
		for i := range b.Packets() {
			p := &b.Packets()[i]
			if len(p.Data) > 1000 {
				p.Set(divertdrv.Drop, reason.TooBig)
				continue
			}
			p.Set(divertdrv.Pass, 0)
		}
		if err := h.Complete(b); err != nil {
			log.Fatal(err)
		}
	}
	s := h.Stats()
	fmt.Println("dropped some:", s.Dropped[reason.TooBig] > 0, "all accounted for:", s.Received == s.Passed+s.Dropped[reason.TooBig])
	// Output: dropped some: true all accounted for: true
}

// A capture file is a driver too.
func ExampleOpen() {
	d, err := pcapdrv.Open(pcapdrv.Options{In: "../testdata/captures/dns.pcap"})
	if err != nil {
		log.Fatal(err)
	}
	defer d.Close()
	h, err := divertdrv.Open("outbound and udp.DstPort == 53", divertdrv.Network, &divertdrv.Options{Driver: d})
	if err != nil {
		log.Fatal(err)
	}
	defer h.Close()
	b := divertdrv.NewBatch(8, divertdrv.MTUMax)
	if err := h.Recv(b); err != nil {
		log.Fatal(err)
	}
	p := &b.Packets()[0]
	fmt.Printf("a question over %v and IPv%d\n", p.Headers().Transport, p.Headers().Version)
	if err := h.Complete(b); err != nil { // not marked: dropped, and counted as unmarked
		log.Fatal(err)
	}
	// Output: a question over udp and IPv4
}

// What is wrong with a filter is told with its place, and what to do.
func ExampleOpen_wrongFilter() {
	_, err := divertdrv.Open("tcp.DstPrt == 443", divertdrv.Network, nil)
	fmt.Println(err)
	// Output:
	// filter: unknown name "tcp.DstPrt"; did you mean tcp.DstPort? (bad-token at byte 0)
	//   tcp.DstPrt == 443
	//   ^
}

// A held packet leaves its batch, and goes on later, from any goroutine.
func ExampleBatch_Hold() {
	sim := simdrv.New(simdrv.Config{Source: simdrv.NewTraffic(1, 1)})
	h, err := divertdrv.Open("true", divertdrv.Network, &divertdrv.Options{Driver: sim})
	if err != nil {
		log.Fatal(err)
	}
	defer h.Close()
	b := divertdrv.NewBatch(1, divertdrv.MTUMax)
	if err := h.Recv(b); err != nil {
		log.Fatal(err)
	}
	held, err := b.Hold(0, time.Minute, divertdrv.Drop)
	if err != nil {
		log.Fatal(err)
	}
	if err := h.Complete(b); err != nil {
		log.Fatal(err)
	}
	fmt.Println("held", h.Stats().Held)
	if err := held.Release(divertdrv.Pass, 0); err != nil {
		log.Fatal(err)
	}
	fmt.Println("held", h.Stats().Held, "passed", h.Stats().Passed)
	// Output:
	// held 1
	// held 0 passed 1
}

// A packet that was never received goes in by Inject, to handles of lower priority and then to the wire.
func ExampleHandle_Inject() {
	sim := simdrv.New(simdrv.Config{OnWire: func(_ *divertdrv.Address, data []byte) {
		fmt.Printf("on the wire: %d bytes, header checksum %x\n", len(data), data[10:12])
	}})
	h, err := divertdrv.Open("false", divertdrv.Network, &divertdrv.Options{Driver: sim, Flags: divertdrv.SendOnly})
	if err != nil {
		log.Fatal(err)
	}
	defer h.Close()
	var a divertdrv.Address // says that all checksums are owed
	a.SetOutbound(true)
	ping := []byte{
		0x45, 0, 0, 28, 0, 1, 0, 0, 64, 1, 0, 0, 192, 0, 2, 10, 198, 51, 100, 7, // IPv4
		8, 0, 0xf7, 0xfd, 0, 1, 0, 1, // ICMP echo
	}
	if _, err := h.Inject([]divertdrv.Packet{*divertdrv.NewPacket(a, ping)}); err != nil {
		log.Fatal(err)
	}
	// Output: on the wire: 28 bytes, header checksum 8e9b
}

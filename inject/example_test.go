package inject_test

import (
	"fmt"
	"log"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/inject"
)

// A packet whose IPv4 header checksum is stale, as after reassembly, is injected into the receive path.
func ExampleInjector_Inject() {
	sim := simdrv.New(simdrv.Config{OnHost: func(_ *divertdrv.Address, data []byte) {
		var h wire.Headers
		wire.Parse(data, &h)
		ip, udp := wire.Verify(data, &h)
		fmt.Printf("the host gets %d bytes, IP checksum %v, UDP checksum %v\n", len(data), ip, udp)
	}})
	h, err := divertdrv.Open("false", divertdrv.Network, &divertdrv.Options{Driver: sim}) // it diverts nothing, it only injects
	if err != nil {
		log.Fatal(err)
	}
	injector, err := inject.New(h, inject.Config{})
	if err != nil {
		log.Fatal(err)
	}
	packet := []byte{
		0x45, 0, 0, 30, 0, 0, 0, 0, 64, 17, 0xde, 0xad, 10, 0, 0, 2, 10, 0, 0, 1, // IPv4, a checksum that is wrong
		0, 53, 0x30, 0x39, 0, 10, 0, 0, 'h', 'i', // UDP, its checksum not computed
	}
	err = injector.Inject(nil, inject.Injection{
		Packet: divertdrv.NewPacket(divertdrv.Address{}, packet),
		Path:   inject.Receive,
		IfIdx:  1,
		Done:   func(err error) { fmt.Println("done:", err) },
	})
	if err != nil {
		log.Fatal(err)
	}
	_ = injector.Close(time.Second)
	_ = h.Close()
	s := h.Stats()
	fmt.Printf("injected %d = completed %d + failed %d\n", s.Injected, s.Completed, s.Failed)
	// Output:
	// the host gets 30 bytes, IP checksum good, UDP checksum good
	// done: <nil>
	// injected 1 = completed 1 + failed 0
}

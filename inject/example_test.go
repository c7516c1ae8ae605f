package inject_test

import (
	"errors"
	"fmt"
	"log"
	"net/netip"
	"slices"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/inject"
	"github.com/weirnet/weir/inject/craft"
	"github.com/weirnet/weir/internal/clock"
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

// TCP from a classification at a transport layer goes in later, not inline; the error names the remedy.
func ExampleScope() {
	injector, done := exampleInjector(simdrv.Config{}, inject.Config{})
	defer done()
	syn, _ := craft.TCP(netip.MustParseAddrPort("10.0.0.1:4000"), netip.MustParseAddrPort("10.0.0.2:80"), craft.Segment{Flags: wire.SYN}, nil)
	packet := divertdrv.NewPacket(divertdrv.Address{}, syn)

	var scope inject.Scope
	scope.Enter("outbound-transport", "knock", true)
	err := injector.Inject(&scope, inject.Injection{Packet: packet})
	fmt.Println(err, "|", errors.Is(err, inject.ErrInlineTCPInjection))
	scope.Leave()
	fmt.Println(injector.Inject(&scope, inject.Injection{Packet: packet}))
	// Output:
	// inline TCP injection at outbound-transport by callout "knock": queue it with Defer (TCP locks are held during classify) | true
	// <nil>
}

// A datagram longer than the MTU goes out in fragments; with DF, or another remedy, it would be an error.
func ExampleTooBig() {
	injector, done := exampleInjector(simdrv.Config{MTU: 600, OnWire: func(_ *divertdrv.Address, data []byte) {
		var h wire.Headers
		wire.Parse(data, &h)
		fmt.Printf("%d bytes, fragment at %d\n", len(data), h.FragOff)
	}}, inject.Config{TooBig: inject.Fragment})
	defer done()
	long, _ := craft.UDP(netip.MustParseAddrPort("10.0.0.1:4000"), netip.MustParseAddrPort("10.0.0.2:53"), make([]byte, 1000))
	long[6] = 0 // what is crafted has DF set
	fmt.Println(injector.Inject(nil, inject.Injection{Packet: divertdrv.NewPacket(divertdrv.Address{}, long)}))
	// Output:
	// 596 bytes, fragment at 0
	// 452 bytes, fragment at 576
	// <nil>
}

// Another program that knows no ranks brings back what Weir puts in, again and again: the loop is named, then broken.
func ExampleLoop() {
	injector, done := exampleInjector(simdrv.Config{}, inject.Config{
		Clock:  clock.NewVirtual(time.Unix(0, 0)),
		OnLoop: func(l inject.Loop) { fmt.Println(l.Passes, "passes, broken:", l.Broken) },
	})
	defer done()
	packet, _ := craft.UDP(netip.MustParseAddrPort("10.0.0.1:4000"), netip.MustParseAddrPort("10.0.0.2:53"), []byte("hello"))
	var err error
	for !errors.Is(err, inject.ErrLoop) { // each time round the packet is the same again
		err = injector.Inject(nil, inject.Injection{Packet: divertdrv.NewPacket(divertdrv.Address{}, slices.Clone(packet))})
	}
	fmt.Println(err)
	// Output:
	// 4 passes, broken: false
	// 32 passes, broken: true
	// the packet goes round in a loop with another program that re-injects it
}

func exampleInjector(host simdrv.Config, cfg inject.Config) (injector *inject.Injector, done func()) {
	h, err := divertdrv.Open("false", divertdrv.Network, &divertdrv.Options{Driver: simdrv.New(host)})
	if err != nil {
		log.Fatal(err)
	}
	if injector, err = inject.New(h, cfg); err != nil {
		log.Fatal(err)
	}
	return injector, func() {
		_ = injector.Close(time.Second)
		_ = h.Close()
	}
}

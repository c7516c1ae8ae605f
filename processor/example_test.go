package processor_test

import (
	"context"
	"fmt"
	"log"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/filter"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/processor"
)

// A policy of one plain filter, over simulated traffic. What no filter decides is permitted.
func Example() {
	sim := simdrv.New(simdrv.Config{Source: simdrv.NewTraffic(1, 1000)})
	h, err := divertdrv.Open("true", divertdrv.Network, &divertdrv.Options{Driver: sim})
	if err != nil {
		log.Fatal(err)
	}
	defer h.Close()
	dns, err := filter.Parse("udp.DstPort == 53", processor.OutboundTransport.DriverLayer())
	if err != nil {
		log.Fatal(err)
	}
	policy, err := processor.NewPolicy(nil, []processor.Filter{
		{Name: "no-dns", Layer: processor.OutboundTransport, When: dns, Action: processor.ActionBlock},
	})
	if err != nil {
		log.Fatal(err)
	}
	p, err := processor.New(processor.Config{Handles: []*divertdrv.Handle{h}, Policy: policy})
	if err != nil {
		log.Fatal(err)
	}
	if err := p.Run(context.Background()); err != nil { // until the source ends
		log.Fatal(err)
	}
	f := p.Stats().Filters[0]
	fmt.Println(f.Name, "blocked every packet that it matched:", f.Matched > 0 && f.Blocked == f.Matched)
	s := h.Stats()
	fmt.Println("every packet is accounted for:", s.Conserved() == nil && s.Received == 1000)
	// Output:
	// no-dns blocked every packet that it matched: true
	// every packet is accounted for: true
}

// hopLimit is a callout that changes packets.
type hopLimit byte

func (hopLimit) Name() string { return "hop-limit" }

func (n hopLimit) Classify(c *processor.Classification) processor.Verdict {
	if c.Headers().Version == 4 && c.Rights&processor.RightActionWrite != 0 {
		c.Packet.Edit()[8] = byte(n) // the checksum is made good when the packet is completed
	}
	return processor.Verdict{} // others decide
}

// A callout changes packets on their way out; lengths and checksums follow by themselves.
func ExampleCallout() {
	sim := simdrv.New(simdrv.Config{
		Source: simdrv.NewTraffic(1, 200),
		OnWire: func(_ *divertdrv.Address, data []byte) {
			if data[0]>>4 == 4 && data[8] != 7 {
				fmt.Println("a packet left with TTL", data[8])
			}
		},
	})
	h, err := divertdrv.Open("outbound and ip", divertdrv.Network, &divertdrv.Options{Driver: sim})
	if err != nil {
		log.Fatal(err)
	}
	defer h.Close()
	policy, err := processor.NewPolicy(nil, []processor.Filter{
		{Name: "ttl", Layer: processor.OutboundIPPacket, Action: processor.ActionCalloutUnknown, Callout: hopLimit(7)},
	})
	if err != nil {
		log.Fatal(err)
	}
	p, err := processor.New(processor.Config{Handles: []*divertdrv.Handle{h}, Policy: policy})
	if err != nil {
		log.Fatal(err)
	}
	if err := p.Run(context.Background()); err != nil {
		log.Fatal(err)
	}
	fmt.Println("passed all:", h.Stats().Passed == h.Stats().Received)
	// Output: passed all: true
}

// Apply swaps the policy of a running processor; each batch is judged by one policy.
func ExampleProcessor_Apply() {
	sim := simdrv.New(simdrv.Config{})
	h, err := divertdrv.Open("tcp", divertdrv.Network, &divertdrv.Options{Driver: sim})
	if err != nil {
		log.Fatal(err)
	}
	defer h.Close()
	p, err := processor.New(processor.Config{Handles: []*divertdrv.Handle{h}}) // permit all
	if err != nil {
		log.Fatal(err)
	}
	policy, err := processor.NewPolicy(nil, []processor.Filter{
		{Name: "lockdown", Layer: processor.InboundTransport, Action: processor.ActionBlock},
	})
	if err != nil {
		log.Fatal(err)
	}
	change, err := p.Apply(policy)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("added", change.Added)
	// Output: added [lockdown]
}

// What a session adds is in force until the session is closed.
func ExampleSession() {
	sim := simdrv.New(simdrv.Config{})
	defer sim.Close()
	h, err := divertdrv.Open("true", divertdrv.Network, &divertdrv.Options{Driver: sim})
	if err != nil {
		log.Fatal(err)
	}
	defer h.Close()
	p, err := processor.New(processor.Config{Handles: []*divertdrv.Handle{h}})
	if err != nil {
		log.Fatal(err)
	}
	s := p.OpenSession()
	txn, err := s.Begin()
	if err != nil {
		log.Fatal(err)
	}
	when, err := processor.CompileConditions(processor.ALEAuthConnect, []processor.Condition{
		{Field: processor.IPRemotePort, Match: processor.MatchEqual, Value: uint16(23)},
	})
	if err != nil {
		log.Fatal(err)
	}
	if err := txn.AddFilter(processor.Filter{Name: "no-telnet", Layer: processor.ALEAuthConnect, When: when, Action: processor.ActionBlock}); err != nil {
		log.Fatal(err)
	}
	change, err := txn.Commit()
	fmt.Println("added", change.Added, err, "in force", len(p.Stats().Filters))
	err = s.Close()
	fmt.Println("closed", err, "in force", len(p.Stats().Filters))
	// Output:
	// added [no-telnet] <nil> in force 1
	// closed <nil> in force 0
}

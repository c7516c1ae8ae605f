// Command verify shows how an embedder finds out whether its callouts keep the considerations for callout drivers: what Driver
// Verifier is to drivers. Each callout is run over a few packets in memory with all rules enforced, and what it breaks is told, with
// what to do instead. verify_test.go is how that looks as a unit test.
package main

import (
	"context"
	"fmt"
	"log"
	"net/netip"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/inject"
	"github.com/weirnet/weir/inject/craft"
	"github.com/weirnet/weir/processor"
)

func main() {
	for _, s := range suspects() {
		found, err := verify(s)
		if err != nil {
			log.Fatal(err)
		}
		if len(found) == 0 {
			fmt.Printf("%s: keeps all rules\n", s.callout.Name())
		}
		for _, v := range found {
			fmt.Printf("%s at %v: %s\n  %s\n", v.Callout, v.Layer, told(v), v.Remedy)
		}
	}
}

// told is what was found. How long a slow callout took differs from run to run.
func told(v processor.Violation) string {
	if v.Rule == processor.RuleTimeBudget {
		return "took longer than its budget (" + v.Rule.String() + ")"
	}
	return v.Detail + " (" + v.Rule.String() + ")"
}

// suspect is a callout, and where a policy names it.
type suspect struct {
	callout processor.Callout
	layer   processor.Layer
	slow    bool // its time is looked at too; others may be interrupted by whatever else the machine does
}

// verify runs a callout over a TCP connection and a datagram each way, and returns what it breaks, each breach once.
func verify(s suspect) (found []processor.Violation, err error) {
	policy, err := processor.NewPolicy(nil, []processor.Filter{
		{Name: "suspect", Layer: s.layer, Action: processor.ActionCalloutUnknown, Callout: s.callout},
	})
	if err != nil {
		return nil, err
	}
	sim := simdrv.New(simdrv.Config{HeaderAlign: 8})
	defer sim.Close()
	h, err := divertdrv.Open("true", divertdrv.Network, &divertdrv.Options{Driver: sim})
	if err != nil {
		return nil, err
	}
	defer h.Close()
	seen := map[processor.Violation]bool{}
	rules := processor.Rules{TimeBudget: inject.Off} // the zero value of every rule is: enforce
	if s.slow {
		rules.TimeBudget = inject.Enforce
	}
	p, err := processor.New(processor.Config{
		Handles: []*divertdrv.Handle{h}, Policy: policy, Rules: rules, Verify: true, Settle: true,
		OnViolation: func(v processor.Violation) {
			key := v
			if v.Rule == processor.RuleTimeBudget {
				key.Detail = ""
			}
			if !seen[key] {
				seen[key] = true
				found = append(found, v)
			}
		},
	})
	if err != nil {
		return nil, err
	}
	if err := talk(sim); err != nil {
		return nil, err
	}
	sim.End()
	if err := p.Run(context.Background()); err != nil {
		return nil, err
	}
	stats := h.Stats()
	return found, stats.Conserved()
}

var (
	here  = netip.MustParseAddrPort("10.0.0.1:5000")
	there = netip.MustParseAddrPort("192.0.2.1:80")
)

// talk sends a handshake and a datagram each way.
func talk(sim *simdrv.Stack) error {
	for _, p := range []struct {
		src, dst netip.AddrPort
		segment  *craft.Segment // nil: a datagram
	}{
		{here, there, &craft.Segment{Seq: 1, Flags: wire.SYN}},
		{there, here, &craft.Segment{Seq: 9, Ack: 2, Flags: wire.SYN | wire.ACK}},
		{here, there, &craft.Segment{Seq: 2, Ack: 10, Flags: wire.ACK}},
		{here, there, nil},
		{there, here, nil},
	} {
		data, err := craft.UDP(p.src, p.dst, []byte("hello"))
		if p.segment != nil {
			data, err = craft.TCP(p.src, p.dst, *p.segment, nil)
		}
		if err != nil {
			return err
		}
		put := sim.Receive
		if p.src == here {
			put = sim.Send
		}
		if err := put(data); err != nil {
			return err
		}
	}
	return nil
}

// slowness is longer than any callout may take, on the slowest of machines too.
const slowness = 20 * time.Millisecond

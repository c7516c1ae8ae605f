// Command blockdns embeds Weir: it blocks DNS questions about one name. The packets are a simulated host's; with
// pcapdrv.Open in place of simdrv.New they are those of a capture.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/processor"
)

// tracker is the name as it stands in a DNS message: a length before each label.
var tracker = []byte("\x03ads\x07tracker\x07example\x00")

type blockTracker struct{}

func (blockTracker) Name() string { return "block-tracker" }

func (blockTracker) Classify(c *processor.Classification) processor.Verdict {
	if bytes.Contains(c.Packet.Data, tracker) {
		return processor.Verdict{Action: processor.Block}
	}
	return processor.Verdict{} // not ours to decide
}

func main() {
	sim := simdrv.New(simdrv.Config{Source: simdrv.NewTraffic(1, 10_000)})
	h := must(divertdrv.Open("udp.DstPort == 53", divertdrv.Network, &divertdrv.Options{Driver: sim}))
	policy := must(processor.NewPolicy(nil, []processor.Filter{{
		Name: "tracker", Layer: processor.OutboundTransport, Action: processor.ActionCalloutUnknown, Callout: blockTracker{},
	}}))
	p := must(processor.New(processor.Config{Handles: []*divertdrv.Handle{h}, Policy: policy}))
	if err := errors.Join(p.Run(context.Background()), h.Close()); err != nil {
		log.Fatal(err)
	}
	s := h.Stats()
	fmt.Printf("%d DNS questions: %d passed, %d about the tracker were blocked\n", s.Received, s.Passed, s.DroppedTotal())
}

func must[T any](v T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return v
}

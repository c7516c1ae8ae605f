// Package judged is the callout that leaves flows to the kernel once it has seen enough of them.
package judged

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/processor"
)

// Type is what policies call it.
const Type = "judged"

// Config says how much of a flow is seen before it is left to the kernel: at least so many packets and so many bytes, of both
// directions together, as far as the callout is shown them.
type Config struct {
	Packets uint64 `yaml:"packets" min:"1" max:"1000000000"`  // 0: 1, the packet at hand
	Bytes   uint64 `yaml:"bytes" min:"1" max:"1000000000000"` // from the IP header on; 0: any
}

// Bounds of Config.
const (
	PacketsMax = 1_000_000_000
	BytesMax   = 1_000_000_000_000
)

// why is what came of a packet.
type why int

const (
	asked why = iota
	early
	opening
	edited
	waiting
	noFlow
	full
	unsupported
	whys
)

var names = [whys]string{"asked", "early", "opening", "edited", "waiting", "no_flow", "full", "unsupported"}

// Callout judges the flows that it is shown. It may be shown packets by any number of workers at a time.
type Callout struct {
	name   string
	config Config
	counts [whys]atomic.Uint64
}

// seen is what a flow had so far, its context.
type seen struct{ packets, bytes atomic.Uint64 }

// New returns a callout. The error names what in c cannot be.
func New(name string, c Config) (*Callout, error) {
	if c.Packets > PacketsMax || c.Bytes > BytesMax {
		return nil, fmt.Errorf("packets are at most %d, bytes at most %d", PacketsMax, BytesMax)
	}
	c.Packets = max(c.Packets, 1)
	return &Callout{name: name, config: c}, nil
}

// Factory makes one for a policy.
func Factory(name string, decode func(into any) error) (processor.Callout, error) {
	var cfg Config
	if err := decode(&cfg); err != nil {
		return nil, err
	}
	c, err := New(name, cfg)
	if err != nil {
		return nil, err // not a nil *Callout that looks like one
	}
	return c, nil
}

// Name returns the name that the policy gives it.
func (c *Callout) Name() string { return c.name }

// Judges says that it is of no use without divertdrv.Options.CutThrough.
func (c *Callout) Judges() {}

// FlowDelete lets go of what a flow had; there is nothing else to do.
func (c *Callout) FlowDelete(*processor.Flow, processor.Layer, any) {}

// Classify judges the packet's flow if enough of it was seen. It decides nothing: whether the packet passes is for others to say,
// and if it does not the flow stays.
func (c *Callout) Classify(cl *processor.Classification) processor.Verdict {
	c.counts[c.ask(cl)].Add(1)
	return processor.Verdict{}
}

func (c *Callout) ask(cl *processor.Classification) why {
	if !c.enough(cl) {
		return early
	}
	switch err := cl.Judge(); {
	case err == nil:
		return asked
	case errors.Is(err, processor.ErrJudgeOpening):
		return opening
	case errors.Is(err, processor.ErrJudgeEdited):
		return edited
	case errors.Is(err, processor.ErrJudgeWaiting):
		return waiting
	case errors.Is(err, processor.ErrJudgeNoFlow):
		return noFlow
	case errors.Is(err, divertdrv.ErrJudgedFull):
		return full
	default:
		return unsupported
	}
}

// enough counts the packet, and says whether its flow had enough by now. What has no flow has no count.
func (c *Callout) enough(cl *processor.Classification) bool {
	n := uint64(len(cl.Packet.Data))
	if c.config.Packets <= 1 && c.config.Bytes <= n || cl.Flow == nil {
		return true
	}
	x, ok := cl.Flow.Context(cl.Layer, c)
	if !ok {
		x = new(seen)
		if cl.Flow.Associate(cl.Layer, c, x) != nil {
			return true // another worker's packet was first; it counts
		}
	}
	s := x.(*seen)
	packets, bytes := s.packets.Add(1), s.bytes.Add(n)
	return packets >= c.config.Packets && bytes >= c.config.Bytes
}

// Stats counts the packets that it was shown: all are the sum of these.
type Stats struct {
	Asked       uint64 `json:"asked"`       // whose flow was judged, or had been
	Early       uint64 `json:"early"`       // too little of the flow was seen
	Opening     uint64 `json:"opening"`     // the connection is not open yet, or not any more
	Edited      uint64 `json:"edited"`      // packets of the flow are changed
	Waiting     uint64 `json:"waiting"`     // packets of the flow are held or deferred
	NoFlow      uint64 `json:"no_flow"`     // no whole packet of a TCP or UDP flow
	Full        uint64 `json:"full"`        // the driver had no room for another flow
	Unsupported uint64 `json:"unsupported"` // the driver leaves no flows to a kernel
}

// Stats returns a snapshot.
func (c *Callout) Stats() Stats {
	n := func(w why) uint64 { return c.counts[w].Load() }
	return Stats{
		Asked: n(asked), Early: n(early), Opening: n(opening), Edited: n(edited), Waiting: n(waiting), NoFlow: n(noFlow), Full: n(full),
		Unsupported: n(unsupported),
	}
}

// Counters reports what Stats does, name by name.
func (c *Callout) Counters(yield func(name string, n uint64) bool) {
	for w := range whys {
		if !yield(names[w], c.counts[w].Load()) {
			return
		}
	}
}

package workload

import (
	"fmt"
	"strconv"
)

// What every pipeline does to each packet of its ring, in turn: it asks PipelineFilter, finds the rule that matches (the last one),
// sets the TTL and the first byte of the payload, computes both checksums anew, and hands the packet to another goroutine.
const (
	PipelineFilter = "outbound and tcp.DstPort == 443 and tcp.PayloadLength > 0 and !loopback"
	PipelineTTL    = 63
	PipelineByte   = 'W'
	pipelineRing   = 256 // packets: what stays in the second cache, like a batch that was just received
)

// The values of the parameters of scenario pipeline: bytes of a packet, and rules.
var (
	PipelineSizes = []int{60, 576, 1500}
	PipelineRules = []int{1, 100, 10_000}
)

// Pipeline is the work of a case.
type Pipeline struct {
	Ring  [][]byte
	Rules []Rule
}

// NewPipeline makes it. Parameters are as they stand in a case.
func NewPipeline(size, rules string, seed uint64) (*Pipeline, error) {
	bytes, err := strconv.Atoi(size)
	if err != nil {
		return nil, fmt.Errorf("size %q: %w", size, err)
	}
	n, err := strconv.Atoi(rules)
	if err != nil || n < 1 || n > 100_000 {
		return nil, fmt.Errorf("rules %q: want a number from 1 to 100000", rules)
	}
	ring, err := Ring(seed, pipelineRing, bytes, false)
	if err != nil {
		return nil, err
	}
	return &Pipeline{ring, Rules(seed, n)}, nil
}

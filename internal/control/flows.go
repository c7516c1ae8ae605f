package control

import (
	"time"

	"github.com/weirnet/weir/processor"
)

// Flows is a part of the flows that are remembered.
type Flows struct {
	Total uint64 `json:"total"` // of all that are remembered, whether they are here or not
	Flows []Flow `json:"flows"`
}

// The orders of Flows, the first is the default. Each puts the greatest first.
const (
	SortBytes   = "bytes"
	SortPackets = "packets"
	SortAge     = "age"
	SortIdle    = "idle" // the last to speak first
)

// FlowSorts returns the words for an order.
func FlowSorts() []string { return []string{SortBytes, SortPackets, SortAge, SortIdle} }

// Flow is one flow: the packets of both directions between two endpoints.
type Flow struct {
	Protocol    string `json:"protocol"`    // tcp, udp, icmp, icmpv6, or a number
	Source      string `json:"source"`      // of the first packet: ADDR:PORT, [ADDR]:PORT, or ADDR where there are no ports
	Destination string `json:"destination"` // of the first packet
	Outbound    bool   `json:"outbound"`    // the first packet left this host
	State       string `json:"state"`       // opening, answered, established or closed
	Midstream   bool   `json:"midstream,omitempty"`
	Refused     string `json:"refused,omitempty"` // the cause for which its packets are dropped
	Packets     uint64 `json:"packets"`           // of both directions
	Bytes       uint64 `json:"bytes"`             // of both directions, from the IP header
	AgeNS       int64  `json:"age_ns"`            // since its first packet, to the second
	IdleNS      int64  `json:"idle_ns"`           // since its last packet
	Waiting     int    `json:"waiting,omitempty"` // packets and calls that wait in it
	Handle      int    `json:"handle"`            // HandleStats.ID
}

// FlowQuery says which flows to tell.
type FlowQuery struct {
	Sort  string // one of FlowSorts; empty: the first
	Limit int    // 1 to FlowsMax; 0: FlowsDefault
	Match string // part of "PROTOCOL SOURCE > DESTINATION STATE"; empty: all
}

// Filters are the filters in force.
type Filters struct {
	Filters []Filter `json:"filters"`
}

// Filter is one filter in force, and what it did.
type Filter struct {
	FilterStats
	Sublayer string `json:"sublayer"`
	Weight   uint64 `json:"weight"`
	Action   string `json:"action"`
	When     string `json:"when,omitempty"` // empty: it takes everything
}

// ExplainRequest is a packet to be explained by the policy in force. Callouts of the daemon are not called: those of a copy of the
// policy are, so that nothing is counted or recorded.
type ExplainRequest struct {
	Packet    []byte `json:"packet"` // from the IP header; in JSON it is base64
	Forward   bool   `json:"forward,omitempty"`
	Outbound  bool   `json:"outbound,omitempty"`
	Loopback  bool   `json:"loopback,omitempty"`
	Interface uint32 `json:"interface,omitempty"` // index
}

// TraceQuery says which packets to tell.
type TraceQuery struct {
	Filter  string // in the filter language, of the network layer; empty: all
	Forward bool   // Filter is of the forward layer, and only forwarded packets are told
	Verdict string // pass, drop or held; empty: all
	Count   uint64 // packets until it ends; 0: no end
}

// Trace is one live packet and how it came to its verdict.
type Trace struct {
	Time   time.Time `json:"time"`
	Handle int       `json:"handle"`
	Missed uint64    `json:"missed,omitempty"` // packets since the last that were wanted too, but came too fast
	processor.Explanation
}

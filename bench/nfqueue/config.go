package nfqueue

import (
	"time"

	"github.com/weirnet/weir/bench"
)

// Name is the scenario's.
const Name = "nfqueue"

// Config says what takes part.
type Config struct {
	// Self is the command that becomes a program of ours: with a Loop and a filter as two more arguments it calls Divert.
	Self []string
	// Peers are programs of others.
	Peers []Peer
	// Measures are those to take; nil: all of them.
	Measures []string
}

// Loop is what a program of ours does with the packets that it diverts.
type Loop string

// The loops.
const (
	HandleLoop    Loop = "handle"    // receive a batch, mark all, complete it
	ProcessorLoop Loop = "processor" // the same through a processor with a policy that permits all
	JudgeLoop     Loop = "judge"     // the first, and every flow is left to the kernel as soon as it is seen
	SpinLoop      Loop = "spin"      // the first, and it looks for packets without a pause for a while before it waits
)

// Loops are all of them.
func Loops() []Loop { return []Loop{HandleLoop, ProcessorLoop, JudgeLoop, SpinLoop} }

// Queue is the number of the queue that peers bind.
const Queue = 77

// Peer is a program of others, which passes all that its queue, number Queue, brings. It says "ready" in a line when the queue is
// bound, ends on SIGTERM, and may say a Tally then.
type Peer struct {
	Name, About string
	Argv        []string
	Why         string // why it cannot run; "": it can

	Ready   string        // it is ready when it said a line with this in it; "": the line "ready"
	Settle  time.Duration // and if it still runs that much later
	Window  int           // datagrams that may be on their way at once without filling its queue; 0: 1024
	OwnRule bool          // it makes the router divert by itself
}

// The measures, which are the scenario's cases.
const (
	MeasureRate    = "rate"
	MeasureTCP     = "tcp"
	MeasureLatency = "latency"
	MeasureApart   = "latency-apart" // the program has a processor of its own
	MeasureFlood   = "flood"
	MeasureRate6   = "rate-ipv6"
)

// Metrics of our own.
const (
	ArrivedShare = "arrived-share" // the part of a flood that arrived
	// TripTime is the median of round trips, counted from when they began. Where a busy machine takes the processor away for longer
	// than a trip takes, the time from when a trip was due says how busy it was, even in the median.
	TripTime  = "trip-ns"
	AddedTime = "added-ns" // the same without what it takes when nobody diverts

	LostInUserSpace = "lost-user/packet" // of a flood, at the program's queue or in it
)

// The names of variants that goals speak of.
const (
	Ours        = "weir"              // the bare loop over a handle
	OurPipeline = "weir, processor"   // through a processor that permits all
	OurOther    = "weir, no match"    // a handle whose filter does not match the traffic
	OurCut      = "weir, cut through" // every flow is judged as soon as it is seen
	OurSpin     = "weir, spin"        // looks for packets without a pause for spinTime before it waits
	NoQueue     = "no queue"
)

// Defaults that bound the whole to some minutes with all peers.
const (
	runsDefault = 5
	timeDefault = 750 * time.Millisecond
)

func scenario() bench.Scenario {
	return bench.Scenario{
		Name: Name, Op: "one diverted packet (tcp: 1,448 bytes)",
		About:    "the live path: two hosts through a router that diverts, in namespaces of its own (root)",
		Settings: bench.Settings{Runs: runsDefault, Time: timeDefault},
	}
}

// Package reason is the closed set of causes: why a packet did not go on. The same codes stand in Stats, metrics, logs,
// explanations and capture files, so a number seen in one place can be looked up in every other. It imports std only.
package reason

import "fmt"

// Cause is why a packet did not go on. The zero value is Unmarked: nobody said what should become of the packet.
type Cause uint8

// The causes. Their numbers and names are part of the interface: new ones are added at the end.
const (
	Unmarked       Cause = iota // completed without a mark
	Filter                      // blocked by a filter
	Callout                     // blocked by a callout
	Absorbed                    // taken by a callout, silently
	Rejected                    // blocked by a callout that answers
	CalloutPanic                // its callout panicked and the filter's default is block
	SendFailed                  // the driver or the stack refused it
	HoldFull                    // no room to hold it, and its default is drop
	Expired                     // held past its deadline, and its default is drop
	Abandoned                   // its handle was closed while it was in a batch
	Shutdown                    // sending was shut down
	TooBig                      // larger than what may be sent, and no remedy was chosen
	HopLimit                    // its hop limit was used up
	Malformed                   // not a packet that can be sent
	DeferFull                   // no room to defer its work
	DropHandle                  // matched a handle opened with DropAll
	QueueLength                 // shed: more packets than the queue may have
	QueueSize                   // shed: more bytes than the queue may have
	QueueTime                   // shed: longer in the queue than allowed
	NoMemory                    // no room to copy it
	Overload                    // shed by the overload policy
	Fault                       // dropped by a seeded fault of the simulator
	Loop                        // ours, and brought back again and again by another program
	Fragmented                  // went on in pieces, which were injected
	Aborted                     // its flow was ended by a callout
	NoListener                  // nobody listens at its port; told at discard layers only
	CalloutMissing              // blocked by a filter whose callout is not registered
	Limited                     // more than a rate limit allows
	SendDoubtful                // sent with others of which some were refused; the driver does not say which
	end
)

// Count is the number of causes in use; Max bounds every table that is indexed by one.
const (
	Count = int(end)
	Max   = 64
)

const _ = uint(Max - Count)

var names = [Count]string{
	"unmarked", "filter", "callout", "absorbed", "rejected", "callout-panic", "send-failed", "hold-full", "expired",
	"abandoned", "shutdown", "too-big", "hop-limit", "malformed", "defer-full", "drop-handle", "queue-length",
	"queue-size", "queue-time", "no-memory", "overload", "fault", "loop",
	"fragmented", "aborted", "no-listener", "callout-missing", "limited", "send-doubtful",
}

// String returns the cause's name: lower case, words joined by hyphens.
func (c Cause) String() string {
	if int(c) < Count {
		return names[c]
	}
	return fmt.Sprintf("cause(%d)", uint8(c))
}

// All returns every cause in order.
func All() []Cause {
	all := make([]Cause, Count)
	for i := range all {
		all[i] = Cause(i)
	}
	return all
}

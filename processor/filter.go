package processor

import (
	"fmt"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/filter"
)

// FilterAction is what a filter does with a packet that meets its conditions.
type FilterAction uint8

// The actions (FWP_ACTION_*). The zero value is none of them, so that a forgotten action is an error.
const (
	ActionPermit             FilterAction = iota + 1 // soft: a lower sublayer may still block
	ActionBlock                                      // hard: nothing may permit it any more
	ActionCalloutTerminating                         // its callout always permits or blocks
	ActionCalloutInspection                          // its callout never does
	ActionCalloutUnknown                             // its callout may
)

var actionNames = [...]string{"none", "permit", "block", "callout-terminating", "callout-inspection", "callout-unknown"}

// String returns the action's name.
func (a FilterAction) String() string {
	if int(a) < len(actionNames) {
		return actionNames[a]
	}
	return fmt.Sprintf("action(%d)", uint8(a))
}

func (a FilterAction) callsOut() bool { return a >= ActionCalloutTerminating }

// Sublayer groups filters; within one, the first that permits or blocks ends its turn.
type Sublayer struct {
	Name   string
	Weight uint16 // higher is asked first; equal weights in the order given
}

// Filter says which packets at a layer meet which action. A policy holds its own copy.
type Filter struct {
	Name     string
	Layer    Layer
	Sublayer string
	Weight   uint64 // higher is asked first; equal weights in the order given
	// Weighting says what Weight is; in a policy Weight is what it came to.
	Weighting Weighting
	// When must hold for the filter to apply; nil: always. It was compiled for the NETWORK layer, or for NETWORK_FORWARD
	// at IPForward.
	When    *filter.Program
	Sets    *SetConditions // must hold too; nil: there are none. They were made for Layer
	Action  FilterAction
	Hard    bool    // clears the right to change the action (FWPM_FILTER_FLAG_CLEAR_ACTION_RIGHT); a block is hard anyway
	Callout Callout // for the three callout actions, unless CalloutName says which; nil elsewhere
	// CalloutName names a callout that is registered with the processor, now or later (Processor.Register). While it is not, a
	// terminating or unknown filter blocks as a plain one does, for reason.CalloutMissing, and an inspection filter does nothing.
	CalloutName          string
	PermitIfUnregistered bool // with CalloutName, terminating or unknown: it permits then (FWPM_FILTER_FLAG_PERMIT_IF_CALLOUT_UNREGISTERED)

	Reason SecurityReason // of a block at ALEFlowEstablished: why letting the connection go on would be a security risk
}

// DriverLayer is the driver's layer that a filter at l is compiled for.
func (l Layer) DriverLayer() divertdrv.Layer {
	if l.of() == IPForward {
		return divertdrv.NetworkForward
	}
	return divertdrv.Network
}

// calloutName is the name of its callout; empty: it has none.
func (f *Filter) calloutName() string {
	if f.Callout != nil {
		return f.Callout.Name()
	}
	return f.CalloutName
}

// check says what is wrong with the filter by itself.
func (f *Filter) check() error {
	switch {
	case f.Name == "":
		return &Error{ErrNameRequired, "", fmt.Sprintf("a filter at %v has no name", f.Layer)}
	case int(f.Layer) >= Layers:
		return filterError(ErrLayerNotFound, f.Name, "no layer %d", f.Layer)
	case f.Action < ActionPermit || f.Action > ActionCalloutUnknown:
		return filterError(ErrInvalidAction, f.Name, "no action")
	case f.Callout != nil && f.CalloutName != "":
		return filterError(ErrInvalidAction, f.Name, "it has a callout and names one: leave out Callout or CalloutName")
	case f.Action.callsOut() != (f.Callout != nil || f.CalloutName != ""):
		return filterError(ErrInvalidAction, f.Name, "action %v and its callout do not go together", f.Action)
	case f.PermitIfUnregistered && (f.CalloutName == "" || f.Action == ActionCalloutInspection):
		return filterError(ErrInvalidFlags, f.Name, "only a terminating or unknown callout that is named can be permitted for while it is not registered")
	case f.When != nil && f.When.Layer() != f.Layer.DriverLayer():
		return fmt.Errorf("filter %q: conditions compiled for layer %v, want %v", f.Name, f.When.Layer(), f.Layer.DriverLayer())
	}
	if f.Sets != nil && f.Sets.layer != f.Layer {
		return fmt.Errorf("filter %q: conditions on sets made for layer %v, want %v", f.Name, f.Sets.layer, f.Layer)
	}
	return f.checkWeight()
}

// bounds are the keys that packets can have to which it applies, known of what its When lets through; nil: all.
func (f *Filter) bounds(when *[filter.Dimensions][]filter.Range) *[filter.Dimensions][]filter.Range {
	if f.Sets == nil {
		return when
	}
	return f.Sets.narrow(when)
}

// Conditions are its conditions in words; empty: it applies to all packets.
func (f *Filter) Conditions() string {
	switch {
	case f.When == nil:
		return f.Sets.String()
	case f.Sets == nil:
		return f.When.String()
	}
	return "(" + f.When.String() + ") and " + f.Sets.String()
}

package processor

import (
	"errors"
	"fmt"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/inject"
)

// Action is what a callout decides.
type Action uint8

// The actions of a callout. The zero value decides nothing.
const (
	Continue Action = iota // the next filter is asked
	Permit
	Block
)

// String returns "continue", "permit" or "block".
func (a Action) String() string {
	if int(a) < len(actionWords) {
		return actionWords[a]
	}
	return fmt.Sprintf("action(%d)", uint8(a))
}

var actionWords = [...]string{"continue", "permit", "block"}

// SecurityReason says why letting a connection go on would be a security risk; needed to block at flow-established.
type SecurityReason string

// Verdict is a callout's answer. Permit and Block are soft unless Hard.
type Verdict struct {
	Action Action
	Hard   bool // the right to change it is cleared
	Absorb bool // with Block: the packet is taken silently; its cause is Absorbed
	Cause  divertdrv.Cause
	Reason SecurityReason
	Follow uint64 // not 0: the callout, if it is a Follower, is told by this number what becomes of the packet
}

// Callout is code that filters name. Classify must not block, and must not keep c or its packet; what it needs later it clones.
// It may change the packet through Packet.Edit, Resize and SetDirty while c.Rights allows. Workers call it at the same time. A
// panic in it is contained and counted, and the packet is blocked (inspection filters: goes on).
type Callout interface {
	Name() string
	Classify(c *Classification) Verdict
}

// Rights of a callout during one classification.
type Rights uint8

// RightActionWrite allows deciding and changing the packet (FWPS_RIGHT_ACTION_WRITE). A callout that finds it cleared may only
// block, which is a veto.
const RightActionWrite Rights = 1

// Classification is one packet at one layer. It is valid only during Classify.
type Classification struct {
	Layer  Layer
	Packet *divertdrv.Packet
	Flow   *Flow // nil if the packet cannot be decoded, or the table of flows is full of flows that packets wait in
	Filter string
	Rights Rights
	Reauth bool            // at the ALE_AUTH layers: the flow was authorised before (FWP_CONDITION_FLAG_IS_REAUTHORIZE)
	Cause  divertdrv.Cause // at discard layers: why the packet was discarded

	k     *classifier
	index int // of the packet in its batch
	held  *Held
	open  bool
	judge bool // a callout asked for it
}

// ErrScopeClosed: the Classification was used after Classify had returned.
var ErrScopeClosed = errors.New("processor: Classification used after Classify returned")

// Now is the processor's time: nanoseconds since some moment that stays the same. Where packets are recorded or simulated it is
// the time of the packet (Config.PacketTime). It does not go back for one worker; between two it may, by a little.
func (c *Classification) Now() int64 {
	if c.k == nil {
		return 0
	}
	return c.k.now
}

// Headers returns the packet's decoded headers.
func (c *Classification) Headers() *divertdrv.Headers { return c.Packet.Headers() }

// Inject puts a packet in at once, through the handle that received c.Packet. TCP is refused at transport layers and above:
// inject.ErrInlineTCPInjection; Defer it.
func (c *Classification) Inject(in inject.Injection) error {
	if !c.open {
		return ErrScopeClosed
	}
	return c.k.injector.Inject(&c.k.scope, in)
}

// Defer has fn called later by a DPC on the flow's queue, after what the flow deferred before and after the batch at hand was
// completed. Later packets of the flow wait behind it. fn must not block and must not use c. false: the queue has no room, or
// there is no flow; fn will not be called, and it was counted.
func (c *Classification) Defer(fn func(d *Deferred)) bool {
	if !c.open || c.Flow == nil {
		return false
	}
	return c.k.defers(c.Flow, fn)
}

// Hold takes the packet out of its batch until Held.Release, or the deadline with byDefault; Classify must return at once, and
// its verdict does not count. Later packets of the flow wait behind it, held ones too. The error is divertdrv.ErrHoldFull, and the
// packet then takes byDefault.
func (c *Classification) Hold(deadline time.Duration, byDefault divertdrv.Mark) (*Held, error) {
	if !c.open {
		return nil, ErrScopeClosed
	}
	return c.k.holds(c, deadline, byDefault, nil)
}

// Pend takes the first packet of a flow out of the pipeline until its authorisation is decided (FwpsPendOperation0): Classify
// must return at once, and its verdict does not count. Pended.Complete has the packet classified again, with Reauth set; the
// deadline gives it byDefault. Later packets of the flow wait behind it.
//
// ErrCannotPend: not at an ALE_AUTH layer, a reauthorisation, or a flow that was pended before. Other errors are those of Hold.
func (c *Classification) Pend(deadline time.Duration, byDefault divertdrv.Mark) (*Pended, error) {
	if !c.open {
		return nil, ErrScopeClosed
	}
	return c.k.pends(c, deadline, byDefault)
}

// Abort ends the flow (FwpsFlowAbort0): its packets are dropped from here on, for that cause; both ends of a TCP connection are
// sent a RST by a DPC; FlowDelete runs. It does not decide on the packet at hand. false: there is no flow, or no room to defer
// the RSTs, and nothing was done.
func (c *Classification) Abort(why divertdrv.Cause) bool {
	return c.open && c.Flow != nil && c.k.abort(c.Flow, why)
}

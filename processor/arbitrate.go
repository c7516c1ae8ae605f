package processor

import "github.com/weirnet/weir/divertdrv"

// WFP's filter arbitration ("Filter Arbitration", spec table: state × what a sublayer yields).
//
//	sublayer yields              | W=1 now      | W=0, permit | W=0, block
//	none, continue               | unchanged    | unchanged   | unchanged
//	permit, soft                 | permit, W=1  | unchanged   | unchanged
//	permit, hard                 | permit, W=0  | unchanged   | unchanged
//	block by a plain filter      | block, W=0   | unchanged   | unchanged
//	block by a callout, soft     | block, W=1   | veto        | unchanged
//	block by a callout, hard     | block, W=0   | veto        | unchanged
//
// W is the right to change the action. The documentation contradicts itself on whether sublayers below a hard block are asked
// ("Evaluate all sublayers even if a higher priority one has decided to block", "Block … stops the evaluation"). Here they are,
// with W=0: inspection sees all traffic, and the result cannot change any more.

// decision is the state of arbitration at one layer.
type decision struct {
	action Action // Continue: nothing decided yet
	locked bool   // W=0
	veto   bool   // a callout blocked what had been permitted for good
	by     *boundFilter
	cause  divertdrv.Cause

	absorbed bool           // a block takes the packet silently
	reason   SecurityReason // of a block at flow-established
}

// yield is what one sublayer answers.
type yield struct {
	action  Action
	hard    bool
	callout bool // it came from a callout, not from a plain filter
}

// combine returns whether y changes d, and applies it.
func (d *decision) combine(y yield) bool {
	switch {
	case y.action == Continue:
		return false
	case !d.locked:
		d.action, d.locked = y.action, y.hard
		return true
	case d.action == Permit && y.action == Block && y.callout:
		d.action, d.veto = Block, true
		return true
	}
	return false
}

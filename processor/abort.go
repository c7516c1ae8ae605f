package processor

import (
	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/inject"
	"github.com/weirnet/weir/inject/craft"
)

// mayBlock says whether a block counts. At ALEFlowEstablished both ends believe that they are connected: a flow is to be refused at
// an ALE_AUTH layer, and blocked here only if letting it go on would be a security risk ("Blocking at ALE Flow Established").
func (k *classifier) mayBlock(layer Layer, d *decision) bool {
	if layer != ALEFlowEstablished || d.reason != "" {
		return true
	}
	setting := k.w.p.rules.BlockAtEstablished
	if setting == inject.Off {
		return true
	}
	k.w.p.violated(blockAtEstablished(&d.by.Filter))
	if k.trace != nil && setting != inject.Report {
		k.trace.last().Ignored = "a block at " + layer.String() + " needs a security reason"
	}
	return setting == inject.Report
}

func blockAtEstablished(f *Filter) Violation {
	return Violation{
		Rule: RuleBlockAtEstablished, Layer: ALEFlowEstablished, Callout: f.calloutName(), Filter: f.Name,
		Detail: "BLOCK at " + ALEFlowEstablished.String() + " needs a security reason",
		Remedy: "decide at " + ALEAuthConnect.String() + " or " + ALEAuthRecvAccept.String(),
	}
}

// abort ends a flow: its packets are dropped, both ends of a TCP connection are reset, and its contexts are deleted. The packet at
// hand says which sequence numbers the RSTs have.
func (k *classifier) abort(f *Flow, why divertdrv.Cause) bool {
	p := k.c.Packet
	var resets []inject.Injection
	for _, to := range []inject.End{inject.ToSender, inject.ToReceiver} {
		build := craft.ResetToSender
		if to == inject.ToReceiver {
			build = craft.ResetToReceiver
		}
		if rst, err := build(p.Data, p.Headers()); err == nil {
			resets = append(resets, inject.AnswerTo(p, rst, to))
		}
	}
	if len(resets) > 0 && !k.defers(f, func(d *Deferred) {
		for _, in := range resets {
			_ = d.Inject(in) // counted by the injector; the flow's packets are dropped anyway
		}
	}) {
		return false
	}
	f.refuse(why, false)
	k.w.flows.end(f)
	k.counts.aborted.Add(1)
	return true
}

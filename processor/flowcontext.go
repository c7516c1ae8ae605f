package processor

import (
	"errors"

	"github.com/weirnet/weir/divertdrv"
)

// The errors of flow contexts, with WFP's names (FwpsFlowAssociateContext0, FwpsFlowRemoveContext0).
var (
	ErrInvalidParameter = errors.New("a flow context needs a value, and its callout a FlowDelete (STATUS_INVALID_PARAMETER)")
	ErrContextExists    = errors.New("the callout has a context for this flow at this layer (STATUS_OBJECT_NAME_EXISTS)")
	ErrNoContext        = errors.New("the callout has no context for this flow at this layer (STATUS_UNSUCCESSFUL)")
)

// FlowDeleter is a callout that keeps contexts of flows. FlowDelete is called exactly once for each, when the flow is over
// (closed, reset, idle, aborted, evicted), when the policy names the callout no more, and when the processor ends. It must not
// block; it may run while other packets are classified.
type FlowDeleter interface {
	Callout
	FlowDelete(f *Flow, l Layer, value any)
}

// Conditional is a callout that is run only for flows for which it has a context at the layer
// (FWP_CALLOUT_FLAG_CONDITIONAL_ON_FLOW).
type Conditional interface {
	Callout
	ConditionalOnFlow() bool
}

// flowContext is what a callout keeps of a flow at a layer. It does not change once it is in a list; lists are replaced.
type flowContext struct {
	layer   Layer
	callout FlowDeleter
	value   any
	next    *flowContext
}

// Associate keeps value for the flow, the layer and the callout; it is often done at ALEFlowEstablished for a layer that later
// packets visit. Errors: ErrInvalidParameter, ErrContextExists.
func (f *Flow) Associate(l Layer, c Callout, value any) error {
	deleter, ok := c.(FlowDeleter)
	if !ok || value == nil {
		return ErrInvalidParameter
	}
	f.table.mu.Lock()
	defer f.table.mu.Unlock()
	head := f.contexts.Load()
	if head.find(l, c) != nil {
		return ErrContextExists
	}
	f.contexts.Store(&flowContext{layer: l, callout: deleter, value: value, next: head})
	f.table.contexts.Add(1)
	return nil
}

// Context returns what Associate kept.
func (f *Flow) Context(l Layer, c Callout) (value any, ok bool) {
	if x := f.contexts.Load().find(l, c); x != nil {
		return x.value, true
	}
	return nil, false
}

// Dissociate removes what Associate kept, and calls FlowDelete before it returns. ErrNoContext: there was none.
func (f *Flow) Dissociate(l Layer, c Callout) error {
	if f.dropContexts(func(x *flowContext) bool { return x.layer == l && x.callout == c }) == 0 {
		return ErrNoContext
	}
	return nil
}

func (x *flowContext) find(l Layer, c Callout) *flowContext {
	for ; x != nil; x = x.next {
		if x.layer == l && x.callout == c {
			return x
		}
	}
	return nil
}

// dropContexts takes contexts out of the flow's list and tells their callouts.
func (f *Flow) dropContexts(which func(*flowContext) bool) (dropped int) {
	if f.contexts.Load() == nil {
		return 0
	}
	out := f.takeContexts(which)
	for _, x := range out {
		f.tell(x)
	}
	return len(out)
}

func (f *Flow) takeContexts(which func(*flowContext) bool) (out []*flowContext) {
	f.table.mu.Lock()
	defer f.table.mu.Unlock()
	var rest *flowContext
	for x := f.contexts.Load(); x != nil; x = x.next {
		if which(x) {
			out = append(out, x)
		} else {
			rest = &flowContext{x.layer, x.callout, x.value, rest}
		}
	}
	f.contexts.Store(rest)
	f.table.contexts.Add(-int64(len(out)))
	return out
}

// tell calls FlowDelete. A panic in it is contained and counted.
func (f *Flow) tell(x *flowContext) {
	defer func() {
		if r := recover(); r != nil {
			if m, misuse := r.(divertdrv.Misuse); misuse {
				panic(m)
			}
			f.table.panics.Add(1)
		}
	}()
	x.callout.FlowDelete(f, x.layer, x.value)
}

package processor

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// Notification says what became of a filter that names a callout.
type Notification uint8

// The notifications (FWPS_CALLOUT_NOTIFY_TYPE).
const (
	FilterAdded Notification = iota + 1
	FilterDeleted
)

// Notifier is a callout that is told when filters that name it come into force and go. An error on FilterAdded refuses the policy
// with ErrCalloutNotification; one on FilterDeleted is ignored. Filters that were in force before the callout was registered are
// not announced. Notify must not apply policies, nor register callouts.
type Notifier interface {
	Callout
	Notify(what Notification, f *Filter) error
}

// ErrDeviceBusy: a callout that keeps contexts of flows cannot be unregistered (STATUS_DEVICE_BUSY).
var ErrDeviceBusy = errors.New("it keeps contexts of flows: dissociate them, or apply a policy that does not name it, and try again (STATUS_DEVICE_BUSY)")

// callouts are those that are registered, by name. A set does not change; it is replaced.
type callouts map[string]Callout

// of is the callout of a filter; nil: it has none, or none that is registered.
func (r callouts) of(f *Filter) Callout {
	if f.Callout != nil || f.CalloutName == "" {
		return f.Callout
	}
	return r[f.CalloutName]
}

// Register makes a callout known by its name to filters with that CalloutName, of this policy and of later ones. Flows are
// authorised again if a filter in force names it. ErrAlreadyExists: the name is taken.
func (p *Processor) Register(c Callout) error {
	p.changing.Lock()
	defer p.changing.Unlock()
	known := *p.callouts.Load()
	name := c.Name()
	if _, taken := known[name]; taken {
		return &Error{ErrAlreadyExists, fmt.Sprintf("callout %q", name), "it is registered; unregister it first, or give this one another name"}
	}
	more := maps.Clone(known)
	more[name] = c
	p.callouts.Store(&more)
	p.recallAll()
	p.adviseOn(p.policy.Load(), func(f *Filter) bool { return f.Callout == nil && f.CalloutName == name })
	return nil
}

// Unregister makes a callout unknown: filters that name it block, permit or do nothing, as Filter.PermitIfUnregistered says. It
// waits for the batches at hand, so it must not be called from Classify. Errors: ErrCalloutNotFound; ErrDeviceBusy.
func (p *Processor) Unregister(name string) error {
	p.changing.Lock()
	defer p.changing.Unlock()
	known := *p.callouts.Load()
	c, ok := known[name]
	if !ok {
		return &Error{ErrCalloutNotFound, fmt.Sprintf("callout %q", name), "it is not registered"}
	}
	contexts := 0
	for _, w := range p.workers {
		contexts += w.contextsOf(c)
	}
	if contexts > 0 {
		return fmt.Errorf("callout %q: %d contexts: %w", name, contexts, ErrDeviceBusy)
	}
	less := maps.Clone(known)
	delete(less, name)
	p.callouts.Store(&less)
	p.recallAll()
	return nil
}

// contextsOf counts the contexts that a callout keeps of the worker's flows, once the policy in force has been taken up.
func (w *worker) contextsOf(c Callout) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.adopt()
	if w.flows.contexts.Load() == 0 {
		return 0
	}
	w.flows.each(func(f *Flow) {
		for x := f.contexts.Load(); x != nil; x = x.next {
			if Callout(x.callout) == c {
				n++
			}
		}
	})
	return n
}

// announce tells callouts which filters come, before they do; if one refuses, those that were told are told that theirs go.
func (r callouts) announce(added []*Filter) error {
	for i, f := range added {
		n, ok := r.of(f).(Notifier)
		if !ok {
			continue
		}
		if err := n.Notify(FilterAdded, f); err != nil {
			r.withdraw(added[:i])
			return fmt.Errorf("%w: %w", filterError(ErrCalloutNotification, f.Name, "callout %q refuses it", n.Name()), err)
		}
	}
	return nil
}

// withdraw tells callouts which filters are gone.
func (r callouts) withdraw(deleted []*Filter) {
	for _, f := range deleted {
		if n, ok := r.of(f).(Notifier); ok {
			_ = n.Notify(FilterDeleted, f) // ignored, as WFP does: the filter is gone
		}
	}
}

// changed returns the filters that name callouts and that b has and a has not, as they are.
func changed(a, b *Policy) (all []*Filter) {
	had := make(map[string]*Filter, len(a.filters))
	for i := range a.filters {
		had[a.filters[i].Name] = &a.filters[i].Filter
	}
	for i := range b.filters {
		f := &b.filters[i].Filter
		if before := had[f.Name]; f.Action.callsOut() && (before == nil || !before.same(f)) {
			c := *f
			all = append(all, &c)
		}
	}
	return all
}

// same says whether two filters do the same.
func (f *Filter) same(g *Filter) bool {
	a, b := *f, *g
	if (a.When == nil) != (b.When == nil) || a.When != nil && a.When.String() != b.When.String() {
		return false
	}
	if !a.Sets.same(b.Sets) {
		return false
	}
	a.When, b.When, a.Sets, b.Sets = nil, nil, nil, nil
	return a == b
}

// binding is the callout of a filter, as a worker knows it.
type binding struct {
	callout     Callout // nil: none, or it is not registered
	conditional bool    // it runs only for flows for which it has a context
	follower    Follower
}

// bind finds the callouts of a policy's filters, by boundFilter.index.
func (r callouts) bind(p *Policy) []binding {
	all := make([]binding, len(p.filters))
	for i := range p.filters {
		c := r.of(&p.filters[i].Filter)
		all[i].callout = c
		if conditional, ok := c.(Conditional); ok {
			all[i].conditional = conditional.ConditionalOnFlow()
		}
		all[i].follower, _ = c.(Follower)
	}
	return all
}

// gone returns the callouts of old that now has not.
func gone(old, now []binding) (all []Callout) {
	stay := map[Callout]bool{}
	for _, b := range now {
		stay[b.callout] = true
	}
	for _, b := range old {
		if !stay[b.callout] && !slices.Contains(all, b.callout) {
			all = append(all, b.callout)
		}
	}
	return all
}

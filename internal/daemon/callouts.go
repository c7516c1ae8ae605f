package daemon

import (
	"reflect"
	"sync"

	"github.com/weirnet/weir/processor"
	"github.com/weirnet/weir/processor/policy"
)

// Callouts keeps callouts over reloads: one whose name, type and config stay is the same one afterwards, with what it counted, what
// it limits and the files that it writes.
type Callouts struct {
	factories map[string]policy.Factory

	mu      sync.Mutex // guards all below
	inForce map[string]made
}

// made is a callout and what it was made of.
type made struct {
	kind    string
	config  []any
	callout processor.Callout
}

// KeepCallouts returns a keeper for callouts of these types.
func KeepCallouts(factories map[string]policy.Factory) *Callouts {
	return &Callouts{factories: factories}
}

// Load returns the factories to read a policy with. When that policy is in force, call applied.
func (k *Callouts) Load() (factories map[string]policy.Factory, applied func()) {
	all := map[string]made{}
	factories = make(map[string]policy.Factory, len(k.factories))
	for kind, make := range k.factories {
		factories[kind] = func(name string, decode func(into any) error) (processor.Callout, error) {
			m := made{kind: kind}
			var err error
			m.callout, err = make(name, func(into any) error {
				err := decode(into)
				m.config = append(m.config, reflect.ValueOf(into).Elem().Interface()) // as it was read: the factory has not seen it yet
				return err
			})
			if err != nil {
				return m.callout, err
			}
			m.callout = k.known(name, &m)
			all[name] = m
			return m.callout, nil
		}
	}
	return factories, func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.inForce = all
	}
}

// known returns the callout in force that is the same, or the new one.
func (k *Callouts) known(name string, m *made) processor.Callout {
	k.mu.Lock()
	defer k.mu.Unlock()
	if old, ok := k.inForce[name]; ok && old.kind == m.kind && reflect.DeepEqual(old.config, m.config) {
		return old.callout
	}
	return m.callout
}

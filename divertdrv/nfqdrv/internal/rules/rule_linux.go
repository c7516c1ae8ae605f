package rules

import (
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
)

// Hook is where in the stack a chain is asked.
type Hook uint8

// The hooks, in the kernel's numbers.
const (
	Prerouting  Hook = iota // all that devices receive, before reassembly and routing
	Input                   // to this host; IPv4 is reassembled, IPv6 is not
	Forward                 // through this host
	Output                  // from this host, routed, before segmentation
	Postrouting             // all that leaves
	hookCount
)

var hookNames = [hookCount]string{"prerouting", "input", "forward", "output", "postrouting"}

func (h Hook) String() string {
	if h >= hookCount {
		return fmt.Sprintf("hook %d", uint8(h))
	}
	return hookNames[h]
}

// Loopback is the index of the device lo, in every network namespace.
const Loopback = 1

// Device is a condition on an interface; the zero value is none.
type Device struct {
	Index uint32 // 0: any
	Not   bool   // any but Index
}

// Action is what becomes of a packet that a rule matches.
type Action uint8

// The actions.
const (
	Pass  Action = iota // no more rules of this table at this hook; on to the next handle
	Drop                // the packet is gone
	Queue               // to user space, which says
)

// To names the queues of a Queue action.
type To struct {
	Queue  uint16
	Count  uint16 // 0, 1: one queue; more: Queue and those after it, each flow in one of them
	Bypass bool   // nobody listens: the packet passes; else it is dropped
}

// Rule is tried in the order given; the first that matches decides. A packet that no rule matches passes.
type Rule struct {
	Hook    Hook
	In, Out Device        // In not at Output, Out not at Prerouting and Input: the packet has none there
	Local   bool          // only what is for this host: addresses of its own, broadcast, multicast; for Prerouting, where nobody knows yet
	Match   *ebpf.Program // a socket filter, asked with the packet from its IP header on; nil: every packet. The kernel keeps it.
	Action  Action
	To      To   // of Queue
	Count   bool // Table.Counters tells how many it matched
}

// RulesMax bounds the rules of a table.
const RulesMax = 64

func check(rules []Rule, hooks []Hook) error {
	if len(rules) > RulesMax {
		return fmt.Errorf("rules: %d rules, at most %d", len(rules), RulesMax)
	}
	for i, r := range rules {
		if err := r.check(hooks); err != nil {
			return fmt.Errorf("rules: rule %d: %w", i, err)
		}
	}
	return nil
}

func (r *Rule) check(hooks []Hook) error {
	switch {
	case !slices.Contains(hooks, r.Hook):
		return fmt.Errorf("the table was not opened for hook %v", r.Hook)
	case r.In.Index != 0 && r.Hook == Output:
		return fmt.Errorf("no interface of arrival at %v", r.Hook)
	case r.Out.Index != 0 && (r.Hook == Prerouting || r.Hook == Input):
		return fmt.Errorf("no interface of departure at %v", r.Hook)
	case r.Local && r.Hook != Prerouting:
		return fmt.Errorf("no need for Local at %v, which says so itself", r.Hook)
	case r.Action > Queue:
		return fmt.Errorf("no action %d", r.Action)
	case r.Match != nil && r.Match.Type() != ebpf.SocketFilter:
		return fmt.Errorf("a program of type %v, not a socket filter", r.Match.Type())
	case int(r.To.Queue)+int(max(r.To.Count, 1))-1 > 0xffff:
		return fmt.Errorf("queues %d and the %d after it: the last is 65535", r.To.Queue, r.To.Count-1)
	}
	return nil
}

package processor

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/weirnet/weir/divertdrv/reason"
)

// What filters do while their callout is not registered, once it is, and when it is not any more (FwpsCalloutRegister1).
func TestUnregisteredCallouts(t *testing.T) {
	for _, c := range []struct {
		action FilterAction
		permit bool
		passes bool
		cause  string
	}{
		{ActionCalloutTerminating, false, false, "callout-missing"},
		{ActionCalloutUnknown, false, false, "callout-missing"},
		{ActionCalloutInspection, false, true, ""},
		{ActionCalloutTerminating, true, true, ""},
		{ActionCalloutUnknown, true, true, ""},
	} {
		p, w := still(t, Config{Policy: policyOf(t, Filter{Name: "f", Layer: OutboundTransport, Action: c.action, CalloutName: "late", PermitIfUnregistered: c.permit})})
		calls := 0
		late := &callout{"late", func(*Classification) Verdict { calls++; return Verdict{Action: Block} }}
		for _, registered := range []bool{false, true, false} {
			want := c
			if registered {
				want.passes = c.action == ActionCalloutInspection
				if want.cause = "callout"; want.passes {
					want.cause = ""
				}
			}
			before := calls
			r := showTo(w, tcpOf(here, there, ackFlag))
			cause := ""
			if !r.passes() {
				cause = r.cause.String()
			}
			if r.passes() != want.passes || cause != want.cause || calls-before != b2i(registered) {
				t.Errorf("%v, permit %v, registered %v: passes %v %s, %d calls", c.action, c.permit, registered, r.passes(), cause, calls-before)
			}
			if registered {
				if err := p.Unregister("late"); err != nil {
					t.Fatal(err)
				}
			} else if _, known := (*p.callouts.Load())["late"]; !known {
				if err := p.Register(late); err != nil {
					t.Fatal(err)
				}
			}
		}
		if s := p.Stats().Filters[0]; s.Callout != "late" || s.Matched != 3 {
			t.Errorf("stats %+v", s)
		}
	}
}

// A block for want of a callout is a plain filter's: it is no veto.
func TestAMissingCalloutHasNoVeto(t *testing.T) {
	pol, err := NewPolicy([]Sublayer{{"high", 9}}, []Filter{
		{Name: "permit", Layer: OutboundTransport, Sublayer: "high", Action: ActionPermit, Hard: true},
		{Name: "missing", Layer: OutboundTransport, Action: ActionCalloutTerminating, CalloutName: "late"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, w := still(t, Config{Policy: pol}); !showTo(w, tcpOf(here, there, ackFlag)).passes() {
		t.Error("it takes back a hard permit")
	}
}

func TestFiltersThatNameCallouts(t *testing.T) {
	c := &callout{"c", nil}
	for name, f := range map[string]struct {
		Filter
		want Code
	}{
		"both":              {Filter{Action: ActionCalloutUnknown, Callout: c, CalloutName: "c"}, ErrInvalidAction},
		"plain":             {Filter{Action: ActionBlock, CalloutName: "c"}, ErrInvalidAction},
		"permit, plain":     {Filter{Action: ActionBlock, PermitIfUnregistered: true}, ErrInvalidFlags},
		"permit, inspects":  {Filter{Action: ActionCalloutInspection, CalloutName: "c", PermitIfUnregistered: true}, ErrInvalidFlags},
		"permit, not named": {Filter{Action: ActionCalloutUnknown, Callout: c, PermitIfUnregistered: true}, ErrInvalidFlags},
	} {
		f.Name, f.Layer = "f", OutboundTransport
		if _, err := NewPolicy(nil, []Filter{f.Filter}); !errors.Is(err, f.want) {
			t.Errorf("%s: %v, want %v", name, err, f.want)
		}
	}
}

func TestRegisteringTwice(t *testing.T) {
	p, _ := still(t, Config{})
	if err := p.Register(&callout{"c", nil}); err != nil {
		t.Fatal(err)
	}
	if err := p.Register(&callout{"c", nil}); !errors.Is(err, ErrAlreadyExists) || !strings.Contains(err.Error(), `callout "c": it is registered`) {
		t.Errorf("a second time: %v", err)
	}
	if err := p.Unregister("d"); !errors.Is(err, ErrCalloutNotFound) {
		t.Errorf("one that is not: %v", err)
	}
}

// keeping associates a context with each flow.
type keeping struct {
	callout
	deleted int
}

func (k *keeping) FlowDelete(*Flow, Layer, any) { k.deleted++ }

func TestUnregisteringWithContexts(t *testing.T) {
	k := &keeping{callout: callout{name: "k"}}
	k.classify = func(c *Classification) Verdict {
		if err := c.Flow.Associate(c.Layer, k, "context"); err != nil {
			t.Error(err)
		}
		return Verdict{}
	}
	p, w := still(t, Config{Policy: policyOf(t, Filter{Name: "f", Layer: ALEAuthConnect, Action: ActionCalloutInspection, CalloutName: "k"})})
	if err := p.Register(k); err != nil {
		t.Fatal(err)
	}
	showTo(w, tcpOf(here, there, synFlag))
	if err := p.Unregister("k"); !errors.Is(err, ErrDeviceBusy) || k.deleted != 0 {
		t.Errorf("with a live context: %v, %d deleted", err, k.deleted)
	}
	if _, err := p.Apply(policyOf(t)); err != nil {
		t.Fatal(err)
	}
	if err := p.Unregister("k"); err != nil || k.deleted != 1 {
		t.Errorf("with no policy that names it: %v, %d deleted", err, k.deleted)
	}
}

// notified writes down what it is told.
type notified struct {
	callout
	told   []string
	refuse string
}

func (n *notified) Notify(what Notification, f *Filter) error {
	n.told = append(n.told, fmt.Sprint(map[Notification]string{FilterAdded: "+", FilterDeleted: "-"}[what], f.Name))
	if f.Name == n.refuse || what == FilterDeleted {
		return errors.New("no")
	}
	return nil
}

func TestNotifications(t *testing.T) {
	n := &notified{callout: callout{"n", func(*Classification) Verdict { return Verdict{Action: Block} }}}
	named := func(name string) Filter {
		return Filter{Name: name, Layer: OutboundTransport, Action: ActionCalloutUnknown, CalloutName: "n"}
	}
	expect := func(want ...string) {
		t.Helper()
		if !slices.Equal(n.told, want) {
			t.Errorf("told %v, want %v", n.told, want)
		}
		n.told = nil
	}
	apply := func(p *Processor, filters ...Filter) error {
		_, err := p.Apply(policyOf(t, filters...))
		return err
	}
	p, w := still(t, Config{Policy: policyOf(t, named("before"))})
	if err := p.Register(n); err != nil {
		t.Fatal(err)
	}
	expect() // what was added before registration is not announced
	if err := apply(p, named("before"), named("a"), Filter{Name: "plain", Layer: OutboundTransport, Action: ActionPermit}); err != nil {
		t.Error(err)
	}
	expect("+a")
	n.refuse = "c"
	err := apply(p, named("b"), named("c"), named("d"))
	if !errors.Is(err, ErrCalloutNotification) || !strings.Contains(err.Error(), `filter "c": callout "n" refuses it`) {
		t.Errorf("refused: %v", err)
	}
	expect("+b", "+c", "-b")
	if got := p.policy.Load().Filters(); !slices.Equal(got, []string{"before", "a", "plain"}) {
		t.Errorf("in force is %v", got)
	}
	changed := named("a")
	changed.When = when(t, "tcp")
	if err := apply(p, changed); err != nil { // an error on delete is ignored
		t.Error(err)
	}
	expect("+a", "-before", "-a")
	if r := showTo(w, tcpOf(here, there, ackFlag)); r.passes() || r.cause != reason.Callout {
		t.Errorf("passes %v, %v", r.passes(), r.cause)
	}
	fixed := named("own")
	fixed.CalloutName, fixed.Callout, n.refuse = "", n, "own"
	if _, err := New(Config{Handles: p.handles, Policy: policyOf(t, fixed)}); !errors.Is(err, ErrCalloutNotification) {
		t.Errorf("at the beginning: %v", err)
	}
}

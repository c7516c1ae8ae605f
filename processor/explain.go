package processor

import (
	"context"
	"errors"
	"fmt"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/filter"
)

// Explanation says how a packet came to its verdict: what happened at every layer that it visited.
type Explanation struct {
	Packet   string             `json:"packet"` // in words
	Flow     string             `json:"flow,omitempty"`
	Layers   []LayerExplanation `json:"layers"`
	Verdict  string             `json:"verdict"`            // "pass", "drop" or "held"
	Cause    string             `json:"cause,omitempty"`    // of a drop: a code of package reason
	Decided  string             `json:"decided,omitempty"`  // where it was dropped, or why without asking
	Injected uint64             `json:"injected,omitempty"` // packets that callouts put in, which went nowhere
}

// LayerExplanation is one layer of a walk.
type LayerExplanation struct {
	Layer     string                `json:"layer"`
	Reauth    bool                  `json:"reauth,omitempty"`
	Discarded string                `json:"discarded,omitempty"` // at discard layers: why
	Sublayers []SublayerExplanation `json:"sublayers"`
	Action    string                `json:"action"`       // continue (nobody decided: it goes on), permit or block
	By        string                `json:"by,omitempty"` // the filter that decided
	Veto      bool                  `json:"veto,omitempty"`
	Ignored   string                `json:"ignored,omitempty"` // why a block does not count
}

// SublayerExplanation is what one sublayer answered, and the right to change the action before and after.
type SublayerExplanation struct {
	Sublayer string              `json:"sublayer"`
	Filters  []FilterExplanation `json:"filters"`
	Before   bool                `json:"right_before"`
	After    bool                `json:"right_after"`
}

// FilterExplanation is one filter that was asked. Those behind the one that decided are not asked, and not here.
type FilterExplanation struct {
	Filter  string              `json:"filter"`
	Weight  uint64              `json:"weight"`
	Action  string              `json:"action"`
	Matches bool                `json:"matches"`
	When    *filter.Explanation `json:"when,omitempty"` // nil: it has no conditions, or on sets only
	Sets    []SetExplanation    `json:"sets,omitempty"`
	Callout string              `json:"callout,omitempty"`
	Verdict string              `json:"verdict,omitempty"` // iff it matches
}

// Explainer explains packets by a policy, with the engine that judges them. It keeps flows, so packets are to be shown in their
// order. Callouts run; what they inject goes nowhere, and what they defer runs at once, before the next packet is shown. It is
// for one goroutine.
type Explainer struct {
	p   *Processor
	h   *divertdrv.Handle
	end context.CancelFunc
}

// NewExplainer returns one for a policy. Close it.
func NewExplainer(pol *Policy) (*Explainer, error) {
	h, err := divertdrv.Open("false", divertdrv.Network, &divertdrv.Options{Driver: nowhere{}})
	if err != nil {
		return nil, err
	}
	p, err := New(Config{Handles: []*divertdrv.Handle{h}, Policy: pol, Settle: true})
	if err != nil {
		return nil, errors.Join(err, h.Close())
	}
	x := &Explainer{p: p, h: h}
	p.ctx, x.end = context.WithCancel(context.Background())
	return x, p.order.start()
}

// Feed shows a packet without explaining it: what it does to flows is remembered.
func (x *Explainer) Feed(p *divertdrv.Packet) { x.judge(p, nil) }

// Explain shows a packet and says what became of it. The packet may be changed by callouts.
func (x *Explainer) Explain(p *divertdrv.Packet) *Explanation {
	t := &tracer{e: &Explanation{Packet: Describe(p), Layers: []LayerExplanation{}}}
	before := x.h.Stats().Injected
	x.judge(p, t)
	t.e.Injected = x.h.Stats().Injected - before
	return t.e
}

func (x *Explainer) judge(p *divertdrv.Packet, t *tracer) {
	w := x.p.workers[0]
	w.mu.Lock()
	w.adopt()
	w.trace = t
	r := w.judge(inNoBatch, p, x.p.now())
	w.tell(p, r)
	w.trace = nil
	t.result(r, w.c.Flow)
	w.mu.Unlock()
	w.submit()
}

// Close ends it.
func (x *Explainer) Close() error {
	defer x.end()
	return errors.Join(x.p.finish(), x.h.Close())
}

// tracer writes down what a classifier does. A nil tracer is told nothing.
type tracer struct{ e *Explanation }

func (t *tracer) layer(k *classifier) {
	l := LayerExplanation{Layer: k.c.Layer.String(), Reauth: k.c.Reauth, Sublayers: []SublayerExplanation{}}
	if k.c.Cause != 0 {
		l.Discarded = k.c.Cause.String()
	}
	t.e.Layers = append(t.e.Layers, l)
}

func (t *tracer) last() *LayerExplanation { return &t.e.Layers[len(t.e.Layers)-1] }

func (t *tracer) sublayer(name string, d *decision) {
	l := t.last()
	l.Sublayers = append(l.Sublayers, SublayerExplanation{Sublayer: name, Filters: []FilterExplanation{}, Before: !d.locked})
}

func (t *tracer) asked(k *classifier, f *boundFilter) *FilterExplanation {
	l := t.last()
	s := &l.Sublayers[len(l.Sublayers)-1]
	x := FilterExplanation{Filter: f.Name, Weight: f.Weight, Action: f.Action.String()}
	if f.When != nil {
		p := k.c.Packet
		when := f.When.Explain(p.Addr, p.Data, p.Headers())
		x.When = &when
	}
	x.Sets = f.Sets.explain(k.c.Packet)
	x.Callout = f.calloutName()
	s.Filters = append(s.Filters, x)
	return &s.Filters[len(s.Filters)-1]
}

func (t *tracer) decided(d *decision) {
	l := t.last()
	if s := l.Sublayers; len(s) > 0 {
		s[len(s)-1].After = !d.locked
	}
	l.Action, l.Veto = d.action.String(), d.veto
	if d.by != nil {
		l.By = d.by.Name
	}
}

func (t *tracer) result(r result, f *Flow) {
	if t == nil {
		return
	}
	t.e.Flow = describeFlow(f)
	switch {
	case r.fate == HeldBack:
		t.e.Verdict = "held"
	case r.passes():
		t.e.Verdict = "pass"
	default:
		t.e.Verdict, t.e.Cause = "drop", r.cause.String()
		t.e.Decided = "the flow was refused before"
		for i := range t.e.Layers {
			if l := &t.e.Layers[i]; l.Action == Block.String() && l.Ignored == "" {
				t.e.Decided = fmt.Sprintf("filter %q at %s", l.By, l.Layer)
				break
			}
		}
	}
}

func (v Verdict) describe() string {
	s := v.Action.String()
	switch {
	case v.Action == Continue:
		return s
	case v.Hard:
		s = "hard " + s
	default:
		s = "soft " + s
	}
	if v.Absorb {
		s += ", absorbed"
	}
	if v.Reason != "" {
		s += ", because " + string(v.Reason)
	}
	return s
}

// nowhere is a driver from which nothing comes, and whose injections go nowhere.
type nowhere struct{}

// Name returns "explain".
func (nowhere) Name() string { return "explain" }

// Open opens a handle.
func (nowhere) Open(*divertdrv.Filter, divertdrv.Layer, *divertdrv.Options) (divertdrv.Conn, error) {
	return nowhereConn{}, nil
}

type nowhereConn struct{}

func (nowhereConn) Recv(*divertdrv.Batch) error                             { return divertdrv.ErrShutdown }
func (nowhereConn) Complete(*divertdrv.Batch) error                         { return nil }
func (nowhereConn) Release(uint64, divertdrv.Mark, *divertdrv.Packet) error { return nil }
func (nowhereConn) Inject(p []divertdrv.Packet) (int, error)                { return len(p), nil }
func (nowhereConn) Param(divertdrv.Param) (uint64, error)                   { return 0, divertdrv.ErrUnsupported }

func (nowhereConn) SetParam(divertdrv.Param, uint64) error { return divertdrv.ErrUnsupported }
func (nowhereConn) Shutdown(divertdrv.Shutdown) error      { return nil }
func (nowhereConn) Close() error                           { return nil }
func (nowhereConn) Caps() divertdrv.Caps {
	return divertdrv.Caps{Inject: true, InjectInbound: true, Modify: true, Grow: true}
}
func (nowhereConn) Stats() divertdrv.Stats { return divertdrv.Stats{} }

// describeFlow says what is known of a packet's flow.
func describeFlow(f *Flow) string {
	if f == nil {
		return ""
	}
	s := f.state.String()
	if f.Outbound() {
		s += ", opened by this host"
	} else {
		s += ", opened by the peer"
	}
	if f.Midstream() {
		s += ", its beginning was not seen"
	}
	if f.flags&flowUntold != 0 {
		s = "not known to ALE"
	}
	return s
}

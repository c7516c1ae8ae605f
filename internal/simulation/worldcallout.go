package simulation

import (
	"errors"
	"fmt"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/inject"
	"github.com/weirnet/weir/processor"
)

// policy draws filters at every layer; most of them call out.
func (s *site) policy() *processor.Policy {
	d := s.world.rng
	var filters []processor.Filter
	for i := range 2 + d.IntN(5) {
		f := processor.Filter{
			Name: fmt.Sprintf("filter %d", i), Layer: processor.Layer(d.IntN(4)), Weight: d.Uint64N(4), Hard: d.IntN(4) == 0,
			Action: processor.FilterAction(1 + d.IntN(5)), Sublayer: []string{"high", "low"}[d.IntN(2)],
		}
		if d.IntN(3) == 0 {
			f.When = programs[divertdrv.Network][d.IntN(len(programs[divertdrv.Network]))]
		}
		switch f.Action {
		case processor.ActionCalloutInspection, processor.ActionCalloutTerminating, processor.ActionCalloutUnknown:
			f.Callout = &callout{s, fmt.Sprintf("callout %d", i), f.Action != processor.ActionCalloutInspection}
		case processor.ActionBlock:
			f.When = programs[divertdrv.Network][10] // not all of it
		}
		filters = append(filters, f)
		s.world.note("%s: %s at %v: %v", s.name, f.Name, f.Layer, f.Action)
	}
	p, err := processor.NewPolicy([]processor.Sublayer{{Name: "high", Weight: 9}, {Name: "low", Weight: 1}}, filters)
	if err != nil {
		s.world.fail("%s: %v", s.name, err)
	}
	return p
}

// callout does by chance what callouts may do.
type callout struct {
	site    *site
	name    string
	decides bool // its verdict counts
}

// Name is the callout's.
func (c *callout) Name() string { return c.name }

// errCallout is what callouts panic with.
var errCallout = errors.New("a callout panics, as it was to")

// Classify draws what to do.
func (c *callout) Classify(x *processor.Classification) processor.Verdict {
	s := c.site
	d := s.world.rng
	what := d.IntN(16)
	s.world.note("%s: %s %d at %v: %s", s.name, c.name, what, x.Layer, title(x.Packet.Data))
	switch what {
	case 0, 1:
		c.hold(x)
	case 2, 3:
		c.later(x)
	case 4, 5:
		return c.reinject(x)
	case 6:
		c.inject(x)
	case 7, 8:
		c.edit(x)
	case 9:
		s.panics++
		panic(errCallout)
	case 10:
		return processor.Verdict{Action: processor.Block, Absorb: d.IntN(2) == 0}
	}
	return processor.Verdict{Action: processor.Action(d.IntN(2)), Hard: d.IntN(3) == 0}
}

// hold pends the packet: the world releases it, or its deadline does.
func (c *callout) hold(x *processor.Classification) {
	d := c.site.world.rng
	if x.Rights&processor.RightActionWrite == 0 {
		return // it may be absorbed already
	}
	deadline := time.Duration(1+d.IntN(80)) * time.Millisecond
	hd, err := x.Hold(deadline, divertdrv.Mark(d.IntN(2)))
	switch {
	case err == nil && d.IntN(2) == 0:
		c.site.pended = append(c.site.pended, hd)
	case err != nil && !errors.Is(err, divertdrv.ErrHoldFull):
		c.site.world.fail("%s: hold: %v", c.site.name, err)
	}
}

// later defers work that injects a packet of its own, or panics.
func (c *callout) later(x *processor.Classification) {
	s := c.site
	if !ours(x) {
		return
	}
	p := c.made(x)
	fails := s.world.rng.IntN(4) == 0
	path := pathOf(x.Packet)
	x.Defer(func(d *processor.Deferred) {
		if fails {
			s.panics++
			panic(errCallout)
		}
		_ = s.inject("deferred", inject.Injection{Packet: p, Path: path}, d.Inject)
	})
}

// reinject takes the packet and puts a copy in later, in its flow's order.
func (c *callout) reinject(x *processor.Classification) processor.Verdict {
	if !ours(x) || !c.decides || x.Rights&processor.RightActionWrite == 0 {
		return processor.Verdict{}
	}
	p, path := x.Packet.Clone(), pathOf(x.Packet)
	if !x.Defer(func(d *processor.Deferred) {
		_ = c.site.inject("again", inject.Injection{Packet: p, Path: path}, d.Inject)
	}) {
		return processor.Verdict{Action: processor.Permit}
	}
	return processor.Verdict{Action: processor.Block, Absorb: true, Hard: true} // nobody below may let it pass: it would be there twice
}

// inject puts a packet in at once, which is refused for TCP at transport layers, and there only.
func (c *callout) inject(x *processor.Classification) {
	s := c.site
	if !ours(x) {
		return
	}
	tcp := x.Headers().Proto == wire.ProtoTCP
	p := c.made(x)
	err := s.inject("inline", inject.Injection{Packet: p, Path: pathOf(x.Packet)}, x.Inject)
	refused := errors.Is(err, inject.ErrInlineTCPInjection)
	if refused {
		s.inline++
	}
	if refused != (tcp && x.Layer.Transport()) && !died(err) {
		s.world.fail("%s: inline injection at %v, TCP %v: %v", s.name, x.Layer, tcp, err)
	}
}

// made is a copy of the packet with a number of its own.
func (c *callout) made(x *processor.Classification) *divertdrv.Packet {
	p := x.Packet.Clone()
	if h := p.Headers(); h.Version != 0 && h.PayloadLen() >= 4 {
		payload := h.Payload(p.Edit())
		payload[0] |= injectedFrom >> 24
	}
	return p
}

func (c *callout) edit(x *processor.Classification) {
	if x.Rights&processor.RightActionWrite == 0 || !ours(x) {
		return
	}
	d, p := c.site.world.rng, x.Packet
	switch d.IntN(3) {
	case 0:
		p.Edit()[len(p.Data)-1]++
	case 1:
		was := len(p.Data)
		if was > mtu/2 {
			return // it must fit the wire in the end
		}
		if err := p.Resize(was + d.IntN(50)); err != nil && !errors.Is(err, divertdrv.ErrNoRoom) {
			c.site.world.fail("%s: resize: %v", c.site.name, err)
		}
		clear(p.Data[was:])
	default:
		p.SetDirty()
	}
}

// ours says that a packet is whole and came undamaged enough to be injected again.
func ours(x *processor.Classification) bool {
	h := x.Headers()
	return h.Version != 0 && !h.Fragment && h.Transport != wire.NoTransport && int(h.Total) == len(x.Packet.Data) && h.PayloadLen() > 8
}

func pathOf(p *divertdrv.Packet) inject.Path {
	if p.Addr.Outbound() {
		return inject.Send
	}
	return inject.Receive
}

package processor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/filter"
	"github.com/weirnet/weir/divertdrv/filter/set"
	"github.com/weirnet/weir/divertdrv/wire"
)

// SetCondition compares a field with a set. WFP has none: there each entry is a condition of its own.
type SetCondition struct {
	Field Field    // IP…Address or IP…Port
	Not   bool     // the packet's value is not in the set; a packet without the field does not meet that either
	Name  string   // of the set, for explanations
	Set   *set.Set // of addresses or ports, as the field has them; an empty one goes with both
}

// String writes it as policies do.
func (c *SetCondition) String() string {
	return fmt.Sprintf("%v %s %s", c.Field, c.match(), c.Name)
}

func (c *SetCondition) match() string {
	if c.Not {
		return "not-in"
	}
	return "in"
}

// SetConditions are conditions on sets at one layer. They must all hold, but of those that stand next to each other with the same
// field one is enough. They never change; filters may share them.
type SetConditions struct {
	layer Layer
	all   []SetCondition
}

// NewSetConditions checks conditions for the filters of a layer. nil: there are none. Errors: ErrConditionNotFound where packets at
// the layer have no such field, ErrTypeMismatch where it is no field for the set.
func NewSetConditions(l Layer, all []SetCondition) (*SetConditions, error) {
	for i := range all {
		if err := all[i].check(l); err != nil {
			return nil, err
		}
	}
	if len(all) == 0 {
		return nil, nil
	}
	return &SetConditions{layer: l, all: slices.Clone(all)}, nil
}

func (c *SetCondition) check(l Layer) error {
	wrong := func(code Code, format string, args ...any) error {
		return &Error{code, "condition " + c.String(), fmt.Sprintf(format, args...)}
	}
	kind := c.kind()
	switch {
	case kind == set.Empty:
		return wrong(ErrTypeMismatch, "sets hold addresses or ports; %v is neither", c.Field)
	case !c.Field.at(l):
		return wrong(ErrConditionNotFound, "packets at %v do not have it", l)
	case c.Set.Kind() != set.Empty && c.Set.Kind() != kind:
		return wrong(ErrTypeMismatch, "the field is one of %v, and the set has %v", kind, c.Set.Kind())
	}
	return nil
}

// kind is what sets its field goes with; Empty: none.
func (c *SetCondition) kind() set.Kind {
	switch c.Field {
	case IPLocalAddress, IPRemoteAddress, IPSourceAddress, IPDestinationAddress:
		return set.Addresses
	case IPLocalPort, IPRemotePort:
		return set.Ports
	}
	return set.Empty
}

// String writes them as policies do; nil is empty.
func (s *SetConditions) String() string {
	if s == nil {
		return ""
	}
	var b strings.Builder
	for from, to := range s.groups() {
		if from > 0 {
			b.WriteString(" and ")
		}
		words := make([]string, 0, to-from)
		for i := from; i < to; i++ {
			words = append(words, s.all[i].String())
		}
		if len(words) == 1 {
			b.WriteString(words[0])
		} else {
			b.WriteString("(" + strings.Join(words, " or ") + ")")
		}
	}
	return b.String()
}

// groups yields from where to where conditions stand of which one is enough.
func (s *SetConditions) groups() func(yield func(from, to int) bool) {
	return func(yield func(from, to int) bool) {
		for from := 0; from < len(s.all); {
			to := from + 1
			for to < len(s.all) && s.all[to].Field == s.all[from].Field {
				to++
			}
			if !yield(from, to) {
				return
			}
			from = to
		}
	}
}

// same says whether they compare the same fields with sets that hold the same.
func (s *SetConditions) same(t *SetConditions) bool {
	if s == nil || t == nil {
		return s == t
	}
	return s.layer == t.layer && slices.EqualFunc(s.all, t.all, func(a, b SetCondition) bool {
		return a.Field == b.Field && a.Not == b.Not && a.Name == b.Name && a.Set.Equal(b.Set)
	})
}

// match says whether a packet with headers h meets them.
func (s *SetConditions) match(p *divertdrv.Packet, h *wire.Headers) bool {
	src, dst, ok := h.Endpoints(p.Data)
	if !ok {
		return false
	}
	for from, to := range s.groups() {
		met := false
		for i := from; i < to && !met; i++ {
			met = s.all[i].meets(s.all[i].end(p, &src, &dst), h)
		}
		if !met {
			return false
		}
	}
	return true
}

// end is the end of the packet that the field is of.
func (c *SetCondition) end(p *divertdrv.Packet, src, dst *wire.Endpoint) *wire.Endpoint {
	out := p.Addr.Outbound()
	switch c.Field {
	case IPSourceAddress:
		return src
	case IPDestinationAddress:
		return dst
	case IPLocalAddress, IPLocalPort:
		out = !out
	}
	if out {
		return dst
	}
	return src
}

func (c *SetCondition) meets(e *wire.Endpoint, h *wire.Headers) bool {
	switch {
	case c.kind() == set.Ports:
		return c.hasPort(h) && c.Set.HasPort(e.Port) != c.Not
	case h.Version == 4:
		return c.Set.Has4(uint32(e.Lo)) != c.Not
	}
	return c.Set.Has6(e.Hi, e.Lo) != c.Not
}

func (c *SetCondition) hasPort(h *wire.Headers) bool {
	return h.Transport == wire.TCP || h.Transport == wire.UDP
}

// narrow takes from the keys that packets may have what sets rule out.
func (s *SetConditions) narrow(bounds *[filter.Dimensions][]filter.Range) *[filter.Dimensions][]filter.Range {
	var b [filter.Dimensions][]filter.Range
	if bounds != nil {
		b = *bounds
	}
	for from, to := range s.groups() {
		c := &s.all[from]
		if d, ok := c.dimension(s.layer); ok && to == from+1 && !c.Not {
			b[d] = common(b[d], c.Set.Keys())
		}
	}
	return &b
}

// dimension is where among the keys of packets at the layer the field always stands.
func (c *SetCondition) dimension(l Layer) (d filter.Dimension, ok bool) {
	local := c.Field == IPLocalAddress || c.Field == IPLocalPort
	switch direction := l.Direction(); {
	case c.Field == IPSourceAddress:
		return filter.BySrcAddr, true
	case c.Field == IPDestinationAddress:
		return filter.ByDstAddr, true
	case direction == Both || l.IsDiscard():
		return 0, false
	case c.kind() == set.Ports && local == (direction == Outbound):
		return filter.BySrcPort, true
	case c.kind() == set.Ports:
		return filter.ByDstPort, true
	case local == (direction == Outbound):
		return filter.BySrcAddr, true
	}
	return filter.ByDstAddr, true
}

// common is what lies in both; nil ranges are all keys.
func common(ranges []filter.Range, keys []set.Key) []filter.Range {
	if ranges == nil {
		ranges = []filter.Range{{Lo: 0, Hi: filter.NoKey}}
	}
	both := []filter.Range{}
	for i, j := 0, 0; i < len(ranges) && j < len(keys); {
		if lo, hi := max(ranges[i].Lo, keys[j].Lo), min(ranges[i].Hi, keys[j].Hi); lo <= hi {
			both = append(both, filter.Range{Lo: lo, Hi: hi})
		}
		if ranges[i].Hi < keys[j].Hi {
			i++
		} else {
			j++
		}
	}
	return both
}

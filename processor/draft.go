package processor

import (
	"fmt"
	"maps"
	"slices"

	"github.com/weirnet/weir/divertdrv/filter"
)

// draft is a policy that is being changed.
type draft struct {
	sublayers []Sublayer // with the default one
	filters   []Filter
	owners    map[object]*Session // of those that die with a session
	bounds    knownBounds
}

// object names what a session may own.
type object struct{ kind, name string }

// knownBounds spares finding the bounds of a program twice.
type knownBounds map[*filter.Program]*[filter.Dimensions][]filter.Range

func (k knownBounds) of(when *filter.Program) *[filter.Dimensions][]filter.Range {
	if known := k[when]; when == nil || known != nil {
		return known
	}
	bounds := when.Bounds()
	return &bounds
}

// draft returns a copy to change.
func (p *Policy) draft() draft {
	d := draft{sublayers: slices.Clone(p.sublayers), owners: maps.Clone(p.owners), bounds: knownBounds{}}
	if d.owners == nil {
		d.owners = map[object]*Session{}
	}
	for i := range p.filters {
		f := &p.filters[i]
		d.filters = append(d.filters, f.Filter)
		if f.When != nil && f.Sets == nil { // else they are not those of When alone
			d.bounds[f.When] = f.bounds
		}
	}
	return d
}

func (d *draft) addFilter(f Filter, s *Session) error {
	if err := f.check(); err != nil {
		return err
	}
	if f.Sublayer == "" {
		f.Sublayer = DefaultSublayer
	}
	owner := s.owner()
	home, dynamic := d.owners[object{"sublayer", f.Sublayer}]
	switch {
	case slices.ContainsFunc(d.filters, func(g Filter) bool { return g.Name == f.Name }):
		return filterError(ErrAlreadyExists, f.Name, "the name is taken")
	case !slices.ContainsFunc(d.sublayers, func(l Sublayer) bool { return l.Name == f.Sublayer }):
		return filterError(ErrSublayerNotFound, f.Name, "no sublayer %q", f.Sublayer)
	case dynamic && home != owner:
		return filterError(ErrLifetimeMismatch, f.Name, "sublayer %q goes with its session, and the filter would stay; put it into another", f.Sublayer)
	case len(d.filters) >= FiltersMax:
		return filterError(ErrInUse, f.Name, "there are %d filters, which is the most", FiltersMax)
	}
	d.filters = append(d.filters, f)
	d.own(object{"filter", f.Name}, owner)
	return nil
}

func (d *draft) addSublayer(l Sublayer, s *Session) error {
	switch {
	case l.Name == "":
		return &Error{ErrNameRequired, "", "a sublayer has no name"}
	case slices.ContainsFunc(d.sublayers, func(m Sublayer) bool { return m.Name == l.Name }):
		return &Error{ErrAlreadyExists, fmt.Sprintf("sublayer %q", l.Name), "the name is taken"}
	}
	d.sublayers = append(d.sublayers, l)
	d.own(object{"sublayer", l.Name}, s.owner())
	return nil
}

func (d *draft) own(o object, s *Session) {
	if s != nil {
		d.owners[o] = s
	}
}

// owner is the session as the owner of what it adds; nil: what the processor's own session adds stays.
func (s *Session) owner() *Session {
	if s == s.p.static {
		return nil
	}
	return s
}

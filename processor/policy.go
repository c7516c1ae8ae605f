package processor

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/weirnet/weir/divertdrv/filter"
)

// DefaultSublayer holds filters that name none. A policy that does not define it has it at weight 0.
const DefaultSublayer = "default"

// FiltersMax bounds the filters of a policy.
const FiltersMax = 100_000

// Policy is an immutable set of filters, ready to classify with. It may be used by any number of processors.
type Policy struct {
	layers  [Layers][]boundSublayer
	filters []boundFilter // in the order given
	names   map[string]bool

	sublayers []Sublayer          // by weight, with the default one
	owners    map[object]*Session // of filters and sublayers that die with a session
}

// boundSublayer is a sublayer at one layer, with its filters in the order of asking.
type boundSublayer struct {
	name    string
	filters []*boundFilter
	index   *index // nil: the filters are asked one by one
}

type boundFilter struct {
	Filter
	index int // in Policy.filters, and in every worker's counters and bindings

	bounds *[filter.Dimensions][]filter.Range // of When and Sets; nil: it matches everything
}

// NewPolicy compiles filters. The error joins all that is wrong: names that are missing, unknown or given twice, actions without
// their callout, conditions compiled for another layer.
func NewPolicy(sublayers []Sublayer, filters []Filter) (*Policy, error) {
	return newPolicy(sublayers, filters, nil)
}

func newPolicy(sublayers []Sublayer, filters []Filter, bounds knownBounds) (*Policy, error) {
	ordered, err := orderSublayers(sublayers)
	errs := []error{err}
	if len(filters) > FiltersMax {
		return nil, fmt.Errorf("%d filters, at most %d", len(filters), FiltersMax)
	}
	known := make(map[string]bool, len(ordered))
	for _, s := range ordered {
		known[s.Name] = true
	}
	p := &Policy{sublayers: ordered, filters: make([]boundFilter, len(filters))}
	seen := make(map[string]bool, len(filters))
	p.names = seen
	for i, f := range filters {
		if f.Sublayer == "" {
			f.Sublayer = DefaultSublayer
		}
		p.filters[i] = boundFilter{Filter: f, index: i}
		p.filters[i].bounds = f.bounds(bounds.of(f.When))
		p.filters[i].Weight, p.filters[i].Weighting = f.weight(p.filters[i].bounds), WeightExact
		errs = append(errs, f.check()) // of the filter as it was given
		if seen[f.Name] {
			errs = append(errs, filterError(ErrAlreadyExists, f.Name, "the name is taken"))
		}
		seen[f.Name] = true
		if !known[f.Sublayer] {
			errs = append(errs, filterError(ErrSublayerNotFound, f.Name, "no sublayer %q", f.Sublayer))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	p.bind(ordered)
	return p, nil
}

// orderSublayers sorts by weight, highest first, and adds the default sublayer.
func orderSublayers(sublayers []Sublayer) ([]Sublayer, error) {
	ordered := slices.Clone(sublayers)
	var errs []error
	seen := make(map[string]bool, len(sublayers))
	for _, s := range sublayers {
		if s.Name == "" {
			errs = append(errs, &Error{ErrNameRequired, "", "a sublayer has no name"})
		}
		if seen[s.Name] {
			errs = append(errs, &Error{ErrAlreadyExists, fmt.Sprintf("sublayer %q", s.Name), "the name is taken"})
		}
		seen[s.Name] = true
	}
	if !seen[DefaultSublayer] {
		ordered = append(ordered, Sublayer{Name: DefaultSublayer})
	}
	slices.SortStableFunc(ordered, func(a, b Sublayer) int { return cmp.Compare(b.Weight, a.Weight) })
	return ordered, errors.Join(errs...)
}

// bind builds, per layer, the sublayers that have filters there, and orders their filters.
func (p *Policy) bind(ordered []Sublayer) {
	type place struct {
		layer    Layer
		sublayer string
	}
	at := map[place][]*boundFilter{}
	for i := range p.filters {
		f := &p.filters[i]
		k := place{f.Layer, f.Sublayer}
		at[k] = append(at[k], f)
	}
	for layer := range p.layers {
		for _, s := range ordered {
			filters := at[place{Layer(layer), s.Name}]
			if len(filters) == 0 {
				continue
			}
			slices.SortStableFunc(filters, func(a, b *boundFilter) int { return cmp.Compare(b.Weight, a.Weight) })
			p.layers[layer] = append(p.layers[layer], boundSublayer{name: s.Name, filters: filters, index: newIndex(filters)})
		}
	}
}

// Filters returns the names of the filters in the order given.
func (p *Policy) Filters() []string {
	names := make([]string, len(p.filters))
	for i := range p.filters {
		names[i] = p.filters[i].Name
	}
	return names
}

// All returns the filters in the order given, each with its sublayer, and with what its weight came to.
func (p *Policy) All() []Filter {
	all := make([]Filter, len(p.filters))
	for i := range p.filters {
		all[i] = p.filters[i].Filter
	}
	return all
}

// has says whether a filter has the name.
func (p *Policy) has(name string) bool { return p.names[name] }

// Weights returns what the filters' weights came to, in the order given.
func (p *Policy) Weights() []uint64 {
	weights := make([]uint64, len(p.filters))
	for i := range p.filters {
		weights[i] = p.filters[i].Weight
	}
	return weights
}

// Callouts returns each callout that a filter names, once, in the order of first use.
func (p *Policy) Callouts() []Callout {
	var all []Callout
	for i := range p.filters {
		if c := p.filters[i].Callout; c != nil && !slices.Contains(all, c) {
			all = append(all, c)
		}
	}
	return all
}

package policy

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/processor"
)

// Lint is something in a policy that works, and is hardly what was meant.
type Lint struct {
	Place
	Filter string `json:"filter,omitempty"` // the filter that it is about; empty for sublayers, callouts and handles
	Msg    string `json:"msg"`
	Remedy string `json:"remedy"`
}

// Lint returns what is doubtful in the policy, by place; nil if nothing is.
func (f *File) Lint() []Lint {
	var all []Lint
	all = append(all, f.lintConditions()...)
	all = append(all, f.lintShadowed()...)
	all = append(all, f.lintUnused()...)
	all = append(all, f.lintHandles()...)
	all = append(all, f.lintConsiderations()...)
	all = append(all, f.lintNegations()...)
	all = append(all, f.lintSets()...)
	slices.SortStableFunc(all, func(a, b Lint) int {
		return cmp.Or(
			cmp.Compare(slices.Index(f.Files, a.File), slices.Index(f.Files, b.File)),
			cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), cmp.Compare(a.Msg, b.Msg))
	})
	return all
}

func (f *Filter) lint(remedy, format string, args ...any) Lint {
	return Lint{Place: f.Place, Filter: f.Name, Msg: fmt.Sprintf(format, args...), Remedy: remedy}
}

// lintConditions: a condition that gives all packets the same answer. A plain true is meant so.
func (f *File) lintConditions() (all []Lint) {
	for i := range f.Filters {
		fl := &f.Filters[i]
		switch {
		case fl.When == nil || fl.When.String() == "true":
		case never(fl.When):
			all = append(all, fl.lint("correct the condition, or remove the filter", "filter %q never matches: no packet meets %s", fl.Name, fl.When))
		case always(fl.When):
			all = append(all, fl.lint("correct the condition, or leave \"when\" out", "filter %q always matches: every packet meets %s", fl.Name, fl.When))
		}
	}
	return all
}

// lintShadowed: a filter behind one, in its sublayer and layer, that decides all that it could match.
func (f *File) lintShadowed() (all []Lint) {
	type place struct {
		layer    processor.Layer
		sublayer string
	}
	at := map[place][]*Filter{}
	for i := range f.Filters {
		fl := &f.Filters[i]
		k := place{fl.Layer, fl.Sublayer}
		at[k] = append(at[k], fl)
	}
	for _, filters := range at {
		slices.SortStableFunc(filters, func(a, b *Filter) int { return cmp.Compare(b.Weight, a.Weight) })
		all = append(all, shadowed(filters)...)
	}
	return all
}

// shadowed looks at the filters of one sublayer at one layer in the order of asking.
func shadowed(filters []*Filter) (all []Lint) {
	var whole *Filter            // decides everything
	same := map[string]*Filter{} // by condition
	for _, fl := range filters {
		above := whole
		if above == nil && fl.When != nil {
			above = same[fl.When.String()]
		}
		switch {
		case above != nil:
			all = append(all, fl.lint("give it a higher weight or another sublayer, or remove it",
				"filter %q is never asked: %q in %s decides all that it could match", fl.Name, above.Name, above.seenFrom(fl.Place)))
		case !fl.decides() || fl.Sets != nil:
		case fl.When == nil:
			whole = fl
		case fl.Layer.Transport() && always(fl.When):
			whole = fl // what cannot be decoded, and so meets no condition, is not shown there
		default:
			same[fl.When.String()] = fl
		}
	}
	return all
}

// decides says whether the filter permits or blocks all that meets its conditions.
func (f *Filter) decides() bool {
	return f.Action == processor.ActionPermit || f.Action == processor.ActionBlock
}

// lintUnused: sublayers and callouts that no filter names.
func (f *File) lintUnused() (all []Lint) {
	sublayers, callouts := map[string]bool{}, map[string]bool{}
	for i := range f.Filters {
		sublayers[f.Filters[i].Sublayer] = true
		if c := f.Filters[i].Callout; c != nil {
			callouts[c.Name()] = true
		}
	}
	for _, s := range f.Sublayers {
		if !sublayers[s.Name] {
			all = append(all, Lint{s.Place, "", fmt.Sprintf("sublayer %q has no filters", s.Name), "remove it"})
		}
	}
	for _, c := range f.Callouts {
		if !callouts[c.Name()] {
			all = append(all, Lint{
				c.Place, "", fmt.Sprintf("callout %q is named by no filter", c.Name()),
				"remove it, or name it in a filter with action: callout",
			})
		}
	}
	return all
}

// lintNegations: of conditions next to each other on one field one is enough, and of two that say what it is not, one always holds.
func (f *File) lintNegations() (all []Lint) {
	for i := range f.Filters {
		fl := &f.Filters[i]
		for _, run := range fl.conditions {
			if field, found := excludesLittle(run); found {
				all = append(all, fl.lint("put a condition on another field between them, or write it with \"when\"",
					"filter %q: of conditions on %v next to each other one is enough, so not-equal among them excludes next to nothing", fl.Name, field))
				break
			}
		}
	}
	return all
}

func excludesLittle(run []processor.Condition) (processor.Field, bool) {
	for j := 1; j < len(run); j++ {
		a, b := run[j-1], run[j]
		if a.Field == b.Field && (a.Match == processor.MatchNotEqual || b.Match == processor.MatchNotEqual) {
			return a.Field, true
		}
	}
	return 0, false
}

// lintConsiderations: breaches of the considerations for callout drivers that show without a packet.
func (f *File) lintConsiderations() (all []Lint) {
	at := map[string]*Filter{}
	for i := range f.Filters {
		at[f.Filters[i].Name] = &f.Filters[i]
	}
	for _, v := range f.Policy.Advice() {
		all = append(all, at[v.Filter].lint(v.Remedy+" (rule: "+v.Rule.String()+")", "%s", v.Found()))
	}
	return all
}

// lintHandles: filters at a layer from which no handle receives.
func (f *File) lintHandles() (all []Lint) {
	open := map[divertdrv.Layer]bool{}
	for _, h := range f.Handles {
		open[h.Filter.Layer()] = true
	}
	for i := range f.Filters {
		fl := &f.Filters[i]
		if l := fl.Layer.DriverLayer(); !open[l] {
			all = append(all, fl.lint(fmt.Sprintf("add {layer: %v} to the handles, or leave them out", l),
				"filter %q sees nothing: no handle is at layer %v", fl.Name, l))
		}
	}
	return all
}

package policy

import (
	"slices"
	"strings"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/filter"
	"github.com/weirnet/weir/processor"
)

// buildHandles takes the handles of the file, or those that its filters need.
func (c *compiler) buildHandles(list *placed[[]handleSpec]) {
	c.file.explicit = len(list.V) > 0
	if !c.file.explicit {
		c.file.Handles = derive(c.file.Filters)
		return
	}
	if len(list.V) > HandlesMax {
		c.at(list.node.items[HandlesMax], "more than %d handles; let fewer do the work", HandlesMax)
		return
	}
	for i := range list.V {
		s := &list.V[i]
		l, _ := addr.ParseLayer(s.Layer) // one of its two words, or reported already
		h := Handle{Priority: s.Priority, Flags: c.flags(s), Filter: c.program(&s.Filter, l)}
		if s.Filter.node == nil {
			h.Filter = everything(l)
		}
		c.file.Handles = append(c.file.Handles, h)
	}
}

// flags refuses what could not work: a handle that drops what it only copies, and one whose packets could not go back.
func (c *compiler) flags(s *handleSpec) (all divertdrv.Flags) {
	for _, word := range s.Flags.V {
		f, _ := addr.ParseFlag(word) // one of the words, or reported already
		all |= f
	}
	switch {
	case all&divertdrv.Sniff != 0 && all&divertdrv.DropAll != 0:
		c.at(s.Flags.node, "sniff and drop exclude each other; remove one")
	case all&divertdrv.RecvOnly != 0 && all&(divertdrv.Sniff|divertdrv.DropAll) == 0:
		c.at(s.Flags.node, "a recv-only handle cannot put packets back; add sniff, or remove recv-only")
	}
	return all
}

func everything(l divertdrv.Layer) *filter.Program {
	p, err := filter.Parse("true", l)
	if err != nil {
		panic(err) // "true" is a filter at every layer
	}
	return p
}

// derive returns the handles that the filters need, each with the narrowest kernel filter that is surely sound: what it leaves in
// the kernel would meet no filter, and so be permitted.
//
//   - A callout may hold or defer packets, and later packets of the flow must then wait behind them: with callouts every packet
//     is needed, so the filter is true. Likewise with a filter without conditions, which applies to packets of any kind, with
//     ALE layers, where a flow's state must be seen, and with discard layers.
//   - Else it is the conditions of all filters, each with the direction of its layer, joined by or; of those on sets, what
//     SetConditions.Cover says. Where that is more than one program can hold, it is true.
//
// Without filters there is one handle at network that receives everything, which is then permitted.
func derive(filters []Filter) []Handle {
	var handles []Handle
	for _, l := range []divertdrv.Layer{divertdrv.Network, divertdrv.NetworkForward} {
		var here []Filter
		for _, f := range filters {
			if f.Layer.DriverLayer() == l {
				here = append(here, f)
			}
		}
		if len(here) > 0 {
			handles = append(handles, Handle{Filter: narrowest(l, here)})
		}
	}
	if len(handles) == 0 {
		handles = []Handle{{Filter: everything(divertdrv.Network)}}
	}
	return handles
}

// termsMax bounds the conditions that are joined: a program has at most 255 tests, and each condition at least one.
const termsMax = 255

func narrowest(l divertdrv.Layer, filters []Filter) *filter.Program {
	var terms []string
	for i := range filters {
		f := &filters[i]
		needed := needs(f)
		if f.Callout != nil || needed == "" || f.Layer.ALE() || f.Layer.IsDiscard() {
			return everything(l)
		}
		if f.When != nil && never(f.When) {
			continue
		}
		if t := term(f.Layer, needed); !slices.Contains(terms, t) {
			terms = append(terms, t)
		}
		if len(terms) > termsMax {
			return everything(l)
		}
	}
	if len(terms) == 0 {
		terms = []string{"false"}
	}
	p, err := filter.Parse(strings.Join(terms, " or "), l)
	if err != nil {
		return everything(l)
	}
	return p
}

// needs is what all packets have in common that a filter applies to, in the filter language; empty: nothing that can be said.
func needs(f *Filter) string {
	cover := f.Sets.Cover()
	switch {
	case f.When == nil, strings.HasPrefix(f.When.String(), "@"): // a program that came without its text
		return cover
	case cover == "":
		return f.When.String()
	}
	return "(" + f.When.String() + ") and " + cover
}

// term is a condition with the direction of a layer.
func term(l processor.Layer, condition string) string {
	switch {
	case l == processor.IPForward:
		return "(" + condition + ")"
	case l.Direction() == processor.Outbound:
		return "(outbound and (" + condition + "))"
	case l.Direction() == processor.Inbound:
		return "(inbound and (" + condition + "))"
	}
	return "(" + condition + ")"
}

func never(p *filter.Program) bool {
	value, constant := p.Always()
	return constant && !value
}

func always(p *filter.Program) bool {
	value, constant := p.Always()
	return constant && value
}

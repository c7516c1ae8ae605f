package processor

import (
	"fmt"
	"strings"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/filter/set"
)

// SetExplanation is one condition on a set, with what the packet has there.
type SetExplanation struct {
	Text  string `json:"text"`            // as policies write it
	Value string `json:"value,omitempty"` // the packet's; empty: it has none
	Entry string `json:"entry,omitempty"` // the narrowest of the set that the value is in; empty: none
	File  string `json:"file,omitempty"`  // where that stands; empty: not known
	Line  int    `json:"line,omitempty"`
	Holds bool   `json:"holds"`
}

// explain says of each condition whether it holds, and by which entry.
func (s *SetConditions) explain(p *divertdrv.Packet) (all []SetExplanation) {
	if s == nil {
		return nil
	}
	h := p.Headers()
	src, dst, ok := h.Endpoints(p.Data)
	for i := range s.all {
		c := &s.all[i]
		x := SetExplanation{Text: c.String()}
		if !ok {
			all = append(all, x)
			continue
		}
		e := c.end(p, &src, &dst)
		x.Holds = c.meets(e, h)
		var entry set.Entry
		var found bool
		switch {
		case c.kind() == set.Addresses:
			x.Value = e.Addr().String()
			entry, found = c.Set.Find(e.Addr())
		case c.hasPort(h):
			x.Value = fmt.Sprint(e.Port)
			entry, found = c.Set.FindPort(e.Port)
		}
		if found {
			x.Entry, x.File, x.Line = entry.String(), entry.File, entry.Line
		}
		all = append(all, x)
	}
	return all
}

// writeSets writes a line for each condition on a set.
func (f *FilterExplanation) writeSets(b *strings.Builder) {
	for i := range f.Sets {
		s := &f.Sets[i]
		says := fmt.Sprintf("value %s, %v", s.Value, s.Holds)
		if s.Value == "" {
			says = "not applicable, the packet does not have the field"
		}
		if s.Entry != "" {
			says += ", by its entry " + s.Entry
		}
		if s.File != "" {
			says += fmt.Sprintf(" (%s:%d)", s.File, s.Line)
		}
		fmt.Fprintf(b, "      %s: %s\n", s.Text, says)
	}
}

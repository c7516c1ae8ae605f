package policy

import (
	"errors"
	"strings"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/filter"
	"github.com/weirnet/weir/processor"
)

func (c *compiler) buildFilters(list []placed[filterSpec]) {
	seen := names{}
	sublayers := []string{processor.DefaultSublayer}
	defined := map[string]bool{processor.DefaultSublayer: true}
	for _, s := range c.file.Sublayers {
		if !defined[s.Name] {
			sublayers = append(sublayers, s.Name)
		}
		defined[s.Name] = true
	}
	for _, s := range within(c, list, processor.FiltersMax, "filters") {
		c.take(seen, s.V.Name, "filter")
		if s.V.Sublayer.V == "" {
			s.V.Sublayer.V = processor.DefaultSublayer
		}
		if !defined[s.V.Sublayer.V] {
			c.unknown(s.V.Sublayer.node, "sublayer", s.V.Sublayer.V, sublayers)
		}
		var on conditions
		if s.V.Layer.node != nil && s.V.Layer.node.text == s.V.Layer.V.String() {
			var ok bool
			if on, ok = c.conditions(s.V.Conditions.V, s.V.Layer.V.Layer); !ok {
				on = conditions{}
			}
		}
		sets, err := processor.NewSetConditions(s.V.Layer.V.Layer, on.sets)
		if err != nil {
			c.at(s.V.Conditions.node, "%v", err)
		}
		weight, weighting := c.weight(s.V.Weight.node)
		c.file.Filters = append(c.file.Filters, Filter{
			Place: placeOf(s.node), conditions: on.runs,
			Filter: processor.Filter{
				Name: string(s.V.Name.V), Layer: s.V.Layer.V.Layer, Sublayer: s.V.Sublayer.V,
				Weight: weight, Weighting: weighting,
				When: c.joined(&s.V, on.runs), Sets: sets, Action: c.action(&s.V),
				Hard: s.V.Hard.V, Callout: c.callouts[s.V.Callout.V], Reason: c.reason(&s.V),
			},
		})
	}
}

// action reads action, callout, type and hard, which go together.
func (c *compiler) action(s *filterSpec) processor.FilterAction {
	if s.Action.V != "callout" {
		for key, n := range map[string]*node{"callout": s.Callout.node, "type": s.Type.node} {
			if n != nil && s.Action.V != "" {
				c.at(n, "%q belongs to action: callout; remove it, or change the action", key)
			}
		}
		if s.Action.V == "block" && s.Hard.node != nil && !s.Hard.V {
			c.at(s.Hard.node, "the block of a filter is always hard; remove hard, or let a callout block softly")
		}
		return map[string]processor.FilterAction{"permit": processor.ActionPermit, "block": processor.ActionBlock}[s.Action.V]
	}
	switch {
	case s.Callout.node == nil:
		c.at(s.Action.node, "action: callout needs the key \"callout\", the name of one under callouts")
	case s.Callout.node.kind == scalar && s.Callout.node.isText():
		if _, ok := c.callouts[s.Callout.V]; !ok {
			c.unknown(s.Callout.node, "callout", s.Callout.V, c.names)
		}
	}
	switch s.Type.V {
	case "terminating":
		return processor.ActionCalloutTerminating
	case "inspection":
		return processor.ActionCalloutInspection
	default:
		return processor.ActionCalloutUnknown
	}
}

// reason reads why a connection that is established may not go on.
func (c *compiler) reason(s *filterSpec) processor.SecurityReason {
	n := s.Reason.node
	switch {
	case n == nil || n.kind != scalar || !n.isText(): // reported already, if it is wrong
	case s.Action.V != "block" || s.Layer.V.Layer != processor.ALEFlowEstablished:
		c.at(n, "\"reason\" belongs to action: block at %v; remove it", processor.ALEFlowEstablished)
	case strings.TrimSpace(n.text) == "":
		c.at(n, "a reason is empty; say why letting the connection go on would be a security risk")
	}
	return processor.SecurityReason(s.Reason.V)
}

// program compiles a filter text; nil: none was given, or it is wrong, which is reported at the place inside it.
func (c *compiler) program(text *placed[expression], layer divertdrv.Layer) *filter.Program {
	if text.node == nil || text.node.kind != scalar {
		return nil
	}
	p, err := filter.Parse(string(text.V), layer)
	if err == nil {
		return p
	}
	n := text.node
	line, column := n.line, n.column
	var wrong *filter.Error
	if errors.As(err, &wrong) {
		line, column = n.src.place(n, wrong.Pos)
	}
	c.add(n.src.name, line, column, "%v", err)
	return nil
}

package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/weirnet/weir/internal/daemon"
)

// outline is what `weir run --dry-run --json` prints.
type outline struct {
	Policy    string            `json:"policy,omitempty"`
	Driver    driverOutline     `json:"driver"`
	Handles   []handleOutline   `json:"handles"`
	Sublayers []sublayerOutline `json:"sublayers,omitempty"`
	Filters   []filterOutline   `json:"filters,omitempty"` // in the policy's order
	Callouts  []calloutOutline  `json:"callouts,omitempty"`
	Count     uint64            `json:"count,omitempty"`
	TimeoutNS int64             `json:"timeout_ns,omitempty"`
}

type driverOutline struct {
	Backend string   `json:"backend"`
	Read    string   `json:"read,omitempty"`
	Write   string   `json:"write,omitempty"`
	Local   []string `json:"local,omitempty"`
	Packets *int     `json:"packets,omitempty"` // with sim; 0: without end
	Seed    *uint64  `json:"seed,omitempty"`    // with sim
}

type handleOutline struct {
	Layer    string `json:"layer"`
	Filter   string `json:"filter"`
	Priority int16  `json:"priority"`
	Flags    string `json:"flags"`
}

type sublayerOutline struct {
	Name   string `json:"name"`
	Weight uint16 `json:"weight"`
}

type filterOutline struct {
	Name     string `json:"name"`
	Layer    string `json:"layer"`
	Sublayer string `json:"sublayer"`
	Weight   uint64 `json:"weight"`
	Action   string `json:"action"`
	Callout  string `json:"callout,omitempty"`
	When     string `json:"when,omitempty"`
}

type calloutOutline struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// show prints what would be done.
func (j *job) show(w io.Writer, asJSON bool) error {
	o := j.outline()
	if asJSON {
		return printJSON(w, o)
	}
	return o.print(w)
}

func (j *job) outline() *outline {
	o := &outline{Driver: outlineDriver(&j.plan.Driver), Count: j.plan.Count, TimeoutNS: j.plan.Timeout.Nanoseconds()}
	for _, h := range j.plan.Handles {
		o.Handles = append(o.Handles, handleOutline{h.Filter.Layer().String(), h.Filter.String(), h.Priority, h.Flags.String()})
	}
	if j.file == nil {
		return o
	}
	o.Policy = j.file.Name
	for _, s := range j.file.Sublayers {
		o.Sublayers = append(o.Sublayers, sublayerOutline{s.Name, s.Weight})
	}
	for i := range j.file.Filters {
		f := &j.file.Filters[i]
		out := filterOutline{Name: f.Name, Layer: f.Layer.String(), Sublayer: f.Sublayer, Weight: f.Weight, Action: f.Action.String()}
		if f.Callout != nil {
			out.Callout = f.Callout.Name()
		}
		out.When = f.Conditions()
		o.Filters = append(o.Filters, out)
	}
	for _, c := range j.file.Callouts {
		o.Callouts = append(o.Callouts, calloutOutline{c.Name(), c.Type})
	}
	return o
}

func outlineDriver(d *daemon.Driver) driverOutline {
	o := driverOutline{Backend: d.Backend, Read: d.In, Write: d.Out}
	for _, p := range d.Local {
		o.Local = append(o.Local, p.String())
	}
	if d.Backend == daemon.Sim {
		o.Packets, o.Seed = &d.Packets, &d.Seed
	}
	return o
}

func (o *outline) print(to io.Writer) error {
	w := bufio.NewWriter(to)
	fmt.Fprintf(w, "driver %s%s\n\n", o.Driver.Backend, o.Driver.inWords())
	handles := newGrid("handle at", ">priority", "flags", "filter")
	for _, h := range o.Handles {
		handles.add(h.Layer, h.Priority, strings.TrimPrefix(h.Flags, "0"), oneLine(h.Filter))
	}
	handles.section(w)
	sublayers := newGrid("sublayer", ">weight")
	for _, s := range o.Sublayers {
		sublayers.add(s.Name, s.Weight)
	}
	sublayers.section(w)
	filters := newGrid("filter", "layer", "sublayer", ">weight", "action", "when")
	for _, f := range o.Filters {
		filters.add(f.Name, f.Layer, f.Sublayer, f.Weight, strings.TrimSpace(f.Action+" "+f.Callout), oneLine(f.When))
	}
	filters.section(w)
	callouts := newGrid("callout", "type")
	for _, c := range o.Callouts {
		callouts.add(c.Name, c.Type)
	}
	callouts.section(w)
	fmt.Fprintln(w, "dry run: nothing was opened")
	return w.Flush()
}

func (d *driverOutline) inWords() (s string) {
	if d.Packets != nil {
		s += fmt.Sprintf(", %s packets of seed %d", thousands(uint64(*d.Packets)), *d.Seed)
	}
	if d.Read != "" {
		s += ", reads " + d.Read
	}
	if d.Write != "" {
		s += ", writes " + d.Write
	}
	if len(d.Local) > 0 {
		s += ", local are " + strings.Join(d.Local, ", ")
	}
	return s
}

// oneLine joins the lines of a filter text.
func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

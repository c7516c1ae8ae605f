package policy

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// The kinds of Origin.
const (
	FromDefault     = "default"     // nothing says otherwise
	FromFile        = "file"        // the policy
	FromInclude     = "include"     // a file that it includes
	FromFilters     = "filters"     // handles that the filters need
	FromFlag        = "flag"        // of the command line
	FromEnvironment = "environment" // a variable
)

// Origin says where a value comes from.
type Origin struct {
	Kind   string `json:"kind"`
	Name   string `json:"name,omitempty"` // of the flag or variable
	*Place        // of a value in a file
}

// String says it in a word, or with the place.
func (o Origin) String() string {
	switch {
	case o.Kind == FromInclude:
		return fmt.Sprintf("%s:%d:%d (included)", o.File, o.Line, o.Column)
	case o.Kind == FromFile:
		return fmt.Sprintf("%s:%d:%d", o.File, o.Line, o.Column)
	case o.Kind == FromFilters:
		return "the filters need it"
	case o.Name != "":
		return o.Kind + " " + o.Name
	}
	return o.Kind
}

// Setting is one value of a policy.
type Setting struct {
	Key    string `json:"key"` // driver.backend, filters.NAME.weight, handles.0.filter
	Value  string `json:"value"`
	Origin Origin `json:"origin"`
}

// Settings returns each value that is in force, in the order of the reference and of the files, with where it comes from.
func (f *File) Settings() []Setting {
	l := &settings{file: f, plans: &decoder{plans: map[reflect.Type]*plan{}}, backend: f.Driver.Backend}
	d := f.document
	if d.Driver.node != nil {
		l.mapping("driver", d.Driver.node, reflect.TypeFor[driverSpec]())
	}
	for _, s := range d.Sets {
		l.mapping("sets."+string(s.V.Name.V), s.node, reflect.TypeFor[setSpec]())
	}
	l.handles(&d.Handles)
	for _, s := range d.Sublayers {
		l.mapping("sublayers."+string(s.V.Name.V), s.node, reflect.TypeFor[sublayerSpec]())
	}
	for _, s := range d.Filters {
		l.mapping("filters."+string(s.V.Name.V), s.node, reflect.TypeFor[filterSpec]())
	}
	for i, s := range d.Callouts {
		key := "callouts." + string(s.V.Name.V)
		l.value(key+".type", s.V.Type.node)
		if t := f.Callouts[i].config; t != nil && t.Kind() == reflect.Struct {
			l.mapping(key+".config", s.V.Config.node, t)
		}
	}
	l.mapping("rules", d.Rules.node, reflect.TypeFor[rulesSpec]())
	return l.all
}

type settings struct {
	file    *File
	plans   *decoder
	backend string
	all     []Setting
}

// handles are those of the file, or those that the filters need.
func (l *settings) handles(list *placed[[]handleSpec]) {
	if l.file.explicit {
		for i, n := range list.node.items {
			l.mapping(fmt.Sprintf("handles.%d", i), n, reflect.TypeFor[handleSpec]())
		}
		return
	}
	for i, h := range l.file.Handles {
		for _, kv := range [][2]string{
			{"layer", h.Filter.Layer().String()}, {"filter", h.Filter.String()}, {"priority", fmt.Sprint(h.Priority)},
		} {
			l.all = append(l.all, Setting{fmt.Sprintf("handles.%d.%s", i, kv[0]), kv[1], Origin{Kind: FromFilters}})
		}
	}
}

// mapping lists the keys that a mapping gives, and the defaults of those that it does not. n may be nil.
func (l *settings) mapping(key string, n *node, t reflect.Type) {
	p := l.plans.planOf(t)
	for _, name := range p.names {
		f := p.fields[name]
		value := n.get(name)
		switch {
		case value != nil && value.kind == mapping && structOf(f.typ) != nil:
			l.mapping(key+"."+name, value, structOf(f.typ))
		case value != nil && name != "name":
			l.value(key+"."+name, value)
		case value == nil && f.deflt != "" && l.applies(n, &f):
			l.all = append(l.all, Setting{key + "." + name, f.deflt, Origin{Kind: FromDefault}})
		}
	}
}

// structOf is the struct that a field is, or points at; nil: neither.
func structOf(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if _, reads := reflect.New(t).Interface().(binder); reads || t.Kind() != reflect.Struct {
		return nil
	}
	return t
}

// applies says whether a default is one: not that of another backend, or of a callout where there is none.
func (l *settings) applies(n *node, f *field) bool {
	switch action := n.get("action"); {
	case action != nil && f.key == "type":
		return action.text == "callout"
	case action != nil && f.key == "hard":
		return action.text == "permit"
	}
	return len(f.backends) == 0 || slices.Contains(f.backends, l.backend)
}

// value lists what stands at a node: a text, the texts of a list, or each key of a mapping.
func (l *settings) value(key string, n *node) {
	switch {
	case n.kind == mapping:
		for _, k := range n.keys {
			l.value(key+"."+k.key.text, k.value)
		}
	case n.kind == sequence && slices.ContainsFunc(n.items, func(i *node) bool { return i.kind == mapping || i.kind == sequence }):
		for i, item := range n.items {
			l.value(fmt.Sprintf("%s.%d", key, i), item)
		}
	default:
		l.all = append(l.all, Setting{key, n.words(), l.origin(n)})
	}
}

func (l *settings) origin(n *node) Origin {
	kind, at := FromFile, placeOf(n)
	if n.src.below != "" {
		kind = FromInclude
	}
	return Origin{Kind: kind, Place: &at}
}

// get returns the value of a key of a mapping, nil if there is none.
func (n *node) get(key string) *node {
	if n == nil {
		return nil
	}
	for _, k := range n.keys {
		if k.key.text == key {
			return k.value
		}
	}
	return nil
}

// words is the text of a value, or of a list of values.
func (n *node) words() string {
	if n.kind != sequence {
		return n.text
	}
	all := make([]string, len(n.items))
	for i, item := range n.items {
		all[i] = item.text
	}
	return strings.Join(all, ", ")
}

package policy

import (
	"encoding"
	"reflect"
	"strings"
)

// decoder fills Go values from the tree and reports everything in it that does not fit, each at its place.
//
// Structs name their keys by tags: `yaml:"name"`, or `yaml:"name,required"`. A number may have `min:"1"` and `max:"255"` beside
// it, a text `oneof:"permit block"`, or `path:"read"` or `path:"write"`: then it is taken from the directory of its file, and
// confined as paths.go says. `default:"7"` is what a key means that is not given; `backend:"sim pcap"` says which backends have it.
// Both are for readers of the plan: a list hands tags on to its items. What implements encoding.TextUnmarshaler reads the text of a value itself. A key that is not given leaves its field
// as it is, so that defaults can be set before.
type decoder struct {
	*problems
	bounds bounds
	plans  map[reflect.Type]*plan
}

// placed is a value and where it stands; node is nil iff it was not given.
type placed[T any] struct {
	V    T
	node *node
}

// binder is implemented by *placed, *configNode and *weightNode.
type binder interface {
	bind(n *node) (into any) // nil: it keeps the node itself
}

func (p *placed[T]) bind(n *node) any {
	p.node = n
	return &p.V
}

// plan is what the tags of a struct say.
type plan struct {
	names  []string
	fields map[string]field
}

type field struct {
	index    int
	required bool
	deflt    string // what it is when it is not given; empty: nothing, or it depends
	doc      string
	backends []string // empty: all
	typ      reflect.Type
	limits
}

// limits are those of a number or a text.
type limits struct {
	key      string
	min, max string // empty: those of the type
	oneof    []string
	path     string // read or write: the text is the path of a file
}

func (d *decoder) planOf(t reflect.Type) *plan {
	if p := d.plans[t]; p != nil {
		return p
	}
	p := &plan{fields: make(map[string]field, t.NumField())}
	for i := range t.NumField() {
		name, option, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		if name == "" {
			continue
		}
		tag := t.Field(i).Tag
		p.names = append(p.names, name)
		p.fields[name] = field{
			index: i, required: option == "required",
			limits: limits{key: name, min: tag.Get("min"), max: tag.Get("max"), oneof: strings.Fields(tag.Get("oneof")), path: tag.Get("path")},
			deflt:  tag.Get("default"), doc: tag.Get("doc"), backends: strings.Fields(tag.Get("backend")), typ: t.Field(i).Type,
		}
	}
	d.plans[t] = p
	return p
}

var textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()

// decode fills v from n.
func (d *decoder) decode(n *node, v reflect.Value, l limits) {
	if b, ok := v.Addr().Interface().(binder); ok {
		if into := b.bind(n); into != nil {
			d.decode(n, reflect.ValueOf(into).Elem(), l)
		}
		return
	}
	switch {
	case v.Addr().Type().Implements(textUnmarshaler):
		d.unmarshal(n, v.Addr().Interface().(encoding.TextUnmarshaler))
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.decode(n, v.Elem(), l)
	case v.Kind() == reflect.Struct:
		d.mapping(n, v)
	case v.Kind() == reflect.Slice:
		d.sequence(n, v, l)
	default:
		d.scalar(n, v, l)
	}
}

// mapping fills a struct. An empty mapping may be left out.
func (d *decoder) mapping(n *node, v reflect.Value) {
	if n.kind != mapping && n.kind != null {
		d.at(n, "want a mapping (key: value), got %v", n.kind)
		return
	}
	p := d.planOf(v.Type())
	given := make(map[string]*node, len(n.keys))
	for _, k := range n.keys {
		f, known := p.fields[k.key.text]
		switch first := given[k.key.text]; {
		case !known:
			d.unknown(k.key, "key", k.key.text, p.names)
		case first != nil:
			d.at(k.key, "key %s was given at %s already; remove one", quote(k.key.text), first.seenFrom(k.key))
		default:
			given[k.key.text] = k.key
			d.decode(k.value, v.Field(f.index), f.limits)
		}
	}
	for _, name := range p.names {
		if p.fields[name].required && given[name] == nil {
			d.at(n, "key %q is missing; add %s: …", name, name)
		}
	}
}

// sequence fills a slice. An empty list may be left out.
func (d *decoder) sequence(n *node, v reflect.Value, l limits) {
	switch n.kind {
	case null:
	case sequence:
		v.Set(reflect.MakeSlice(v.Type(), len(n.items), len(n.items)))
		for i, item := range n.items {
			d.decode(item, v.Index(i), l)
		}
	default:
		d.at(n, "want a list ([a, b], or lines that begin with \"- \"), got %v", n.kind)
	}
}

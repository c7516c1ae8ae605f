package policy

import (
	"maps"
	"reflect"
	"slices"

	"github.com/weirnet/weir/divertdrv/filter/set"
	"github.com/weirnet/weir/processor"
)

// compiler turns the document into a File, and reports what does not hold together.
type compiler struct {
	*decoder
	file     *File
	factory  map[string]Factory
	callouts map[string]processor.Callout // those whose factory failed are nil
	names    []string                     // of the callouts, in order
	sets     map[string]*set.Set          // those that are wrong are nil
}

// versionKnown is the version of the format.
const versionKnown = 1

func build(r *reader, doc *document, opts Options) *File {
	d := r.decoder
	c := &compiler{
		decoder: d, file: &File{Name: d.files[0], Files: d.files, Version: versionKnown, document: doc},
		factory: opts.Factories, callouts: map[string]processor.Callout{}, sets: map[string]*set.Set{},
	}
	c.file.Driver = c.driver(&doc.Driver)
	c.file.Rules = doc.Rules.V.rules()
	c.buildCallouts(doc.Callouts)
	c.buildSets(doc.Sets, r.fromFiles)
	c.buildSublayers(doc.Sublayers)
	c.buildFilters(doc.Filters)
	if c.buildHandles(&doc.Handles); len(d.list) > 0 {
		return nil
	}
	c.finish()
	return c.file
}

// finish compiles the policy. What it refuses should have been reported at its place before.
func (c *compiler) finish() {
	sublayers := make([]processor.Sublayer, len(c.file.Sublayers))
	for i, s := range c.file.Sublayers {
		sublayers[i] = s.Sublayer
	}
	filters := make([]processor.Filter, len(c.file.Filters))
	for i, f := range c.file.Filters {
		filters[i] = f.Filter
	}
	var err error
	if c.file.Policy, err = processor.NewPolicy(sublayers, filters); err != nil {
		c.add(c.file.Name, 0, 0, "%v", err)
		return
	}
	for i, w := range c.file.Policy.Weights() {
		c.file.Filters[i].Weight, c.file.Filters[i].Weighting = w, processor.WeightExact
	}
}

// within reports a list that is longer than may be, and returns what of it is looked at.
func within[T any](c *compiler, list []placed[T], most int, what string) []placed[T] {
	if len(list) > most {
		c.at(list[most].node, "more than %d %s; let fewer do the work", most, what)
		return list[:most]
	}
	return list
}

// names finds names that are given twice.
type names map[name]*node

// take reports whether the name is a good one, not taken before.
func (c *compiler) take(seen names, n placed[name], what string) bool {
	if n.node == nil || n.node.kind != scalar || !n.node.isText() {
		return false // reported already
	}
	if err := n.V.check(); err != nil {
		c.at(n.node, "%v", err)
		return false
	}
	if first := seen[n.V]; first != nil {
		c.at(n.node, "%s %s is defined at %s already; rename one", what, quote(string(n.V)), first.seenFrom(n.node))
		return false
	}
	seen[n.V] = n.node
	return true
}

func (c *compiler) buildSublayers(list []placed[sublayerSpec]) {
	seen := names{}
	for _, s := range within(c, list, SublayersMax, "sublayers") {
		c.take(seen, s.V.Name, "sublayer")
		c.file.Sublayers = append(c.file.Sublayers, Sublayer{
			Sublayer: processor.Sublayer{Name: string(s.V.Name.V), Weight: s.V.Weight},
			Place:    placeOf(s.node),
		})
	}
}

func (c *compiler) buildCallouts(list []placed[calloutSpec]) {
	seen := names{}
	for _, s := range within(c, list, CalloutsMax, "callouts") {
		fresh := c.take(seen, s.V.Name, "callout")
		callout, config := c.makeCallout(&s)
		if !fresh {
			continue
		}
		name := string(s.V.Name.V)
		c.callouts[name] = callout
		c.names = append(c.names, name)
		c.file.Callouts = append(c.file.Callouts, Callout{
			Callout: callout, Type: s.V.Type.V, Place: placeOf(s.node), config: config,
		})
	}
}

// makeCallout runs the factory of the callout's type; nil: it failed, which was reported. config is what it decoded.
func (c *compiler) makeCallout(s *placed[calloutSpec]) (callout processor.Callout, config reflect.Type) {
	if s.V.Type.node == nil || s.V.Type.node.kind != scalar {
		return nil, nil
	}
	factory, ok := c.factory[s.V.Type.V]
	if !ok {
		c.unknown(s.V.Type.node, "callout type", s.V.Type.V, slices.Sorted(maps.Keys(c.factory)))
		return nil, nil
	}
	from := s.V.Config.node
	if from == nil {
		from = &node{src: s.node.src, line: s.node.line, column: s.node.column}
	}
	before := len(c.list)
	callout, err := factory(string(s.V.Name.V), func(into any) error {
		if config = reflect.TypeOf(into); config.Kind() == reflect.Pointer {
			config = config.Elem()
		}
		return c.config(from, into)
	})
	if err != nil {
		if len(c.list) == before {
			c.at(from, "callout %s: %v", quote(string(s.V.Name.V)), err)
		}
		return nil, nil
	}
	return callout, config
}

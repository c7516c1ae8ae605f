package policy

import (
	"path/filepath"
	"slices"

	"github.com/weirnet/weir/divertdrv/filter/set"
	"github.com/weirnet/weir/processor"
)

// entry is one entry of a set. YAML takes a port for a number; here it is an entry.
type entry struct{ set.Entry }

func (e *entry) UnmarshalText(text []byte) (err error) {
	e.Entry, err = set.ParseEntry(string(text))
	return err
}

func (entry) shape() shape {
	return shape{"anyOf": []shape{
		{"type": "integer", "minimum": 0, "maximum": 1<<16 - 1},
		{"type": "string", "pattern": `^[0-9A-Fa-f.:]+(/[0-9]{1,3})?$|^[0-9A-Fa-f.:]+ *- *[0-9A-Fa-f.:]+$`},
	}}
}

// setFile reads the file of a set, which stays below the policy's directory as included files do.
func (r *reader) setFile(s *placed[setSpec]) {
	n := s.V.File.node
	if n == nil || n.kind != scalar || !n.isText() {
		return // there is none, or reported already
	}
	name, ok := r.inside(n)
	if !ok {
		return
	}
	if len(r.files) >= FilesMax {
		r.at(n, "more than %d files; join some", FilesMax)
		return
	}
	text, ok := r.slurp(n, name, SetFilesSize)
	if !ok {
		return
	}
	if r.setSize += len(text); r.setSize > SetFilesSize {
		r.at(n, "set files are larger than %d MiB together; let prefixes and ranges do the work", SetFilesSize>>20)
		return
	}
	path := filepath.Join(r.bounds.base, filepath.FromSlash(name))
	r.addFile(path)
	entries, wrong := set.ParseFile(path, text)
	for _, e := range wrong {
		r.add(path, e.Line, e.Column, "%v", e.Err)
	}
	r.fromFiles[n] = entries
}

// addFile notes a file that was read; two sets may share one.
func (r *reader) addFile(path string) {
	if !slices.Contains(r.files, path) {
		r.files = append(r.files, path)
	}
}

// buildSets makes the sets, of their entries and those of their files.
func (c *compiler) buildSets(list []placed[setSpec], fromFiles map[*node][]set.Entry) {
	seen := names{}
	for _, s := range within(c, list, SetsMax, "sets") {
		fresh := c.take(seen, s.V.Name, "set")
		if s.V.Entries.node == nil && s.V.File.node == nil {
			c.at(s.node, "a set needs the key \"entries\" or \"file\"; add entries: […]")
		}
		made := c.makeSet(&s, fromFiles[s.V.File.node])
		if !fresh {
			continue
		}
		c.sets[string(s.V.Name.V)] = made
		c.file.Sets = append(c.file.Sets, Set{Name: string(s.V.Name.V), Set: made, Place: placeOf(s.node)})
	}
}

// makeSet joins the entries of a set with those of its file; nil: something is wrong, which was reported.
func (c *compiler) makeSet(s *placed[setSpec], more []set.Entry) *set.Set {
	all := make([]set.Entry, 0, len(s.V.Entries.V)+len(more))
	kind := set.Empty
	for _, e := range s.V.Entries.V {
		if e.V.Kind() == set.Empty {
			return nil // reported already
		}
		if kind == set.Empty {
			kind = e.V.Kind()
		}
		if e.V.Kind() != kind {
			c.at(e.node, "%s is one of %v in a set of %v; put it into a set of its own", quote(e.node.text), e.V.Kind(), kind)
			return nil
		}
		one := e.V.Entry
		one.File, one.Line = e.node.src.name, e.node.line
		all = append(all, one)
	}
	if kind != set.Empty && len(more) > 0 && more[0].Kind() != kind {
		c.at(s.V.File.node, "the file has %v, and the set has %v; make two sets", more[0].Kind(), kind)
		return nil
	}
	made, err := set.New(append(all, more...))
	if err != nil {
		c.at(s.node, "set %s: %v", quote(string(s.V.Name.V)), err)
	}
	return made
}

const (
	matchIn    = "in"
	matchNotIn = "not-in"
)

// onSet says whether a condition names a set, or should.
func (c *compiler) onSet(s *placed[conditionSpec]) bool {
	return s.V.Set.node != nil || s.V.Match.V == matchIn || s.V.Match.V == matchNotIn
}

// setCondition reads a condition that names a set.
func (c *compiler) setCondition(s *placed[conditionSpec], field processor.Field, l processor.Layer) (on processor.SetCondition, ok bool) {
	n := s.V.Set.node
	switch match := s.V.Match.V; {
	case n == nil:
		c.at(s.node, "match: %s needs the key \"set\", the name of one under sets", match)
		return on, false
	case s.V.Value.node != nil:
		c.at(s.V.Value.node, "\"value\" and \"set\" exclude each other; remove one")
		return on, false
	case s.V.Match.node != nil && match != matchIn && match != matchNotIn:
		c.at(s.V.Match.node, "a set is compared by in or not-in; change match, or leave it out")
		return on, false
	case n.kind != scalar || !n.isText():
		return on, false // reported already
	}
	made, known := c.sets[s.V.Set.V]
	if !known {
		all := make([]string, len(c.file.Sets))
		for i := range c.file.Sets {
			all[i] = c.file.Sets[i].Name
		}
		c.unknown(n, "set", s.V.Set.V, all)
	}
	if made == nil {
		return on, false
	}
	on = processor.SetCondition{Field: field, Not: s.V.Match.V == matchNotIn, Name: s.V.Set.V, Set: made}
	if _, err := processor.NewSetConditions(l, []processor.SetCondition{on}); err != nil {
		c.at(s.node, "%v; the reference says which fields a layer has, and how each is compared", err)
		return on, false
	}
	return on, true
}

// neighbours refuses conditions on a value and on a set of the same field next to each other, of which one would have to be enough.
func (c *compiler) neighbours(list []placed[conditionSpec]) {
	for i := 1; i < len(list); i++ {
		a, b := &list[i-1], &list[i]
		if a.V.Field.V != "" && a.V.Field.V == b.V.Field.V && c.onSet(a) != c.onSet(b) {
			c.at(b.node, "a value and a set of %s next to each other: put the value into a set, or another field between them if both must hold",
				quote(a.V.Field.V))
		}
	}
}

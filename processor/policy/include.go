package policy

import (
	"errors"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"reflect"
	"strings"

	"github.com/weirnet/weir/divertdrv/filter/set"
)

// Bounds of what a policy includes. SizeMax bounds all its files together.
const (
	FilesMax    = 256 // with the policy itself
	includeDeep = 8   // files that include each other
)

// reader reads a policy and the files that it includes, which are confined to its directory.
type reader struct {
	*decoder
	below fs.FS            // the policy's directory; nil: it is read from memory
	named map[string]*node // files that were included, by their path below, and where
	size  int              // bytes that were read
	depth int

	fromFiles map[*node][]set.Entry // of set files, by the node that names one
	setSize   int                   // bytes of set files that were read
}

// read reads one file and what it includes: the lists of an included file come before those of the file itself, in the order in
// which files are named. nil: it cannot be read, which was reported.
func (r *reader) read(src *source) *document {
	r.files = append(r.files, src.name)
	if r.size += len(src.text); r.size > SizeMax {
		r.add(src.name, 0, 0, "larger than %d MiB; split it, or let fewer filters do the work", SizeMax>>20)
		return nil
	}
	before := len(r.list)
	if checkText(src.name, []byte(src.text), r.problems); len(r.list) > before {
		return nil
	}
	root, err := parseTree(src)
	if err != nil {
		var s *syntaxError
		if errors.As(err, &s) {
			r.add(src.name, s.line, s.column, "%s", s.msg)
		}
		return nil
	}
	doc := &document{Version: placed[uint]{V: versionKnown}}
	r.decode(root, reflect.ValueOf(doc).Elem(), limits{})
	if v := doc.Version; v.V != versionKnown {
		r.at(v.node, "version %s is unknown here; want %d", shorten(v.node.text), versionKnown)
	}
	if r.depth > 0 {
		r.mainOnly(root)
	}
	for i := range doc.Sets {
		r.setFile(&doc.Sets[i])
	}
	r.includes(doc)
	return doc
}

// mainOnly reports keys that only the policy itself may have: who runs a policy looks there for what it does to the host.
func (r *reader) mainOnly(root *node) {
	for _, k := range root.keys {
		switch k.key.text {
		case "driver", "handles", "rules":
			r.at(k.key, "%q belongs into the policy itself, which is %s; move it there", k.key.text, r.files[0])
		}
	}
}

// includes reads what the file includes and joins the lists.
func (r *reader) includes(doc *document) {
	var sets []placed[setSpec]
	var sublayers []placed[sublayerSpec]
	var filters []placed[filterSpec]
	var callouts []placed[calloutSpec]
	for _, in := range doc.Include {
		for _, name := range r.match(in.node) {
			if inner := r.include(in.node, name); inner != nil {
				sets = append(sets, inner.Sets...)
				sublayers = append(sublayers, inner.Sublayers...)
				filters = append(filters, inner.Filters...)
				callouts = append(callouts, inner.Callouts...)
			}
		}
	}
	doc.Sets = append(sets, doc.Sets...)
	doc.Sublayers = append(sublayers, doc.Sublayers...)
	doc.Filters = append(filters, doc.Filters...)
	doc.Callouts = append(callouts, doc.Callouts...)
}

// match returns the files below the policy's directory that an entry means, in the order of their names.
func (r *reader) match(n *node) []string {
	if n == nil || n.kind != scalar || !n.isText() {
		return nil // reported already
	}
	name, ok := r.inside(n)
	if !ok {
		return nil
	}
	dir, pattern := path.Split(name)
	switch {
	case !strings.ContainsAny(name, "*?["):
		return []string{name}
	case strings.ContainsAny(dir, "*?["):
		r.at(n, "only the last part of a path may be a pattern; name the directories")
		return nil
	}
	if _, err := path.Match(pattern, ""); err != nil {
		r.at(n, "%s is no pattern; * stands for any letters, ? for one, [a-c] for one of these", quote(pattern))
		return nil
	}
	found, err := fs.Glob(r.below, name)
	if err != nil {
		r.at(n, "%v", err)
	}
	return found // none is right: a directory of rules may be empty
}

// inside returns the path that an entry of a file names, from the policy's directory, if it stays there.
func (r *reader) inside(n *node) (string, bool) {
	text := filepath.ToSlash(n.text)
	switch name := path.Join(path.Dir(n.src.below), text); {
	case r.below == nil:
		r.at(n, "this policy is read from memory, and can include nothing; load it from a file")
	case text == "":
		r.at(n, "a path is empty; name a file")
	case path.IsAbs(text) || filepath.IsAbs(n.text) || !fs.ValidPath(name) || name == "." || !filepath.IsLocal(filepath.FromSlash(name)):
		r.at(n, "%s leads out of the policy's directory; put the file there, and name it from there", quote(n.text))
	default:
		return name, true
	}
	return "", false
}

// include reads one included file.
func (r *reader) include(n *node, name string) *document {
	switch first := r.named[name]; {
	case name == filepath.ToSlash(filepath.Base(r.files[0])):
		r.at(n, "the policy includes itself; remove this")
		return nil
	case first != nil:
		r.at(n, "%s is included at %s already; remove one", quote(name), first.seenFrom(n))
		return nil
	case len(r.files) >= FilesMax:
		r.at(n, "more than %d files; join some", FilesMax)
		return nil
	case r.depth == includeDeep:
		r.at(n, "files that include each other, deeper than %d; include them from the policy itself", includeDeep)
		return nil
	}
	r.named[name] = n
	text, ok := r.slurp(n, name, SizeMax)
	if !ok {
		return nil
	}
	src := newSource(filepath.Join(r.bounds.base, filepath.FromSlash(name)), text)
	src.below = name
	r.depth++
	defer func() { r.depth-- }()
	return r.read(src)
}

// slurp reads a file below the policy's directory, one byte more than may be at most; what is none is not opened: a pipe would wait for a writer.
func (r *reader) slurp(n *node, name string, most int64) (string, bool) {
	info, err := fs.Stat(r.below, name)
	if err == nil && !info.Mode().IsRegular() {
		r.at(n, "%s is not a file; name one", quote(name))
		return "", false
	}
	var f fs.File
	if err == nil {
		f, err = r.below.Open(name)
	}
	if err != nil {
		r.at(n, "%s cannot be read: %s", quote(name), cause(err))
		return "", false
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		r.at(n, "%s cannot be read: %s", quote(name), cause(err))
		return "", false
	}
	return string(b), true
}

// cause is what the system says, without the path, which was said; an escape is told as what it is.
func cause(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	if strings.Contains(err.Error(), "escapes") {
		return "a symlink leads out of the policy's directory; put the file there"
	}
	return err.Error()
}

package policy

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// trees are texts that are read, of every form that policies may be written in.
var trees = []string{
	"",
	"# a comment\n",
	"---\na: 1\n...\n",
	"a: 1\nb: text with words # comment\nc: 'single ''quoted'''\nd: \"double\\tquoted é\"\ne: true\nf: ~\ng:\nh: 0x1f\n",
	"a:\n  b:\n    c: 1\n  d: 2\ne: 3\n",
	"a:\n- x\n-\n- - y\n  - z\nb:\n  - k: 1\n    l: 2\n  -   k: 3\n      l: 4\n",
	"a: [1, two, [3], {b: c}, ]\nd: {e: , f: {g: h}, }\n",
	"a: [\n  x,\n y\n]\nb: {\n  c: d,\n  e: f }\n",
	"a: |\n  one\n  two\n\nb: >-\n  three\n  four\nc: |2\n   x\nd: |\n",
	"a: plain text\n  goes on\n  here\nb: \"double\n  goes on\"\n",
	"a: tcp.DstPort == 23 && !loopback\nb: fd00::1\nc: a:b\n",
	"? a\n", "- a\n- b\n", "just text\n", "a : 1\n", "\"a b\": 1\n'c': 2\n",
	"a: 1\r\nb: |\r\n  x\r\n  y\r\nc: 2\r\n",
	"{a: 1, b: [2]}\n", "[a, b]\n", "a:\n\n\n  b: 1\n\n# c\n\n  d: 2\n",
	"é: ü\nlist:\n  # first\n  - a # behind\n  # second\n  - b\n",
}

// Whatever is read is what goccy's own parser reads, of the tokens of its scanner: it is the witness, and too slow to use.
func FuzzTree(f *testing.F) {
	for _, s := range trees {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		if len(src) > 1<<10 {
			return
		}
		p := &problems{}
		if checkText("p", []byte(src), p); len(p.list) > 0 {
			return
		}
		root, err := parseTree(newSource("p", src))
		if err != nil {
			return
		}
		if emptyItem.MatchString(src) {
			return // the witness takes what follows an empty item at its column for the item
		}
		if want, ok := witness(src); ok && show(root) != want {
			t.Errorf("%q is read as\n%s\nwant\n%s", src, show(root), want)
		}
	})
}

var emptyItem = regexp.MustCompile(`(?m)-[ \r]*(#.*)?$`)

func TestTrees(t *testing.T) {
	for _, src := range trees {
		root, err := parseTree(newSource("p", src))
		if strings.HasPrefix(src, "?") {
			if err == nil {
				t.Errorf("%q was read", src)
			}
			continue
		}
		if err != nil {
			t.Errorf("%q: %v", src, err)
			continue
		}
		if want, ok := witness(src); !ok || show(root) != want {
			t.Errorf("%q is read as\n%s\nwant\n%s", src, show(root), want)
		}
	}
}

// show writes a tree in one line.
func show(n *node) string {
	switch n.kind {
	case sequence:
		var items []string
		for _, i := range n.items {
			items = append(items, show(i))
		}
		return "[" + strings.Join(items, ", ") + "]"
	case mapping:
		var keys []string
		for _, k := range n.keys {
			keys = append(keys, fmt.Sprintf("%q: %s", k.key.text, show(k.value)))
		}
		return "{" + strings.Join(keys, ", ") + "}"
	case scalar:
		return fmt.Sprintf("%q", n.text)
	default:
		return "null"
	}
}

// witness reads the text with goccy's parser; not ok: it refuses it, or panics.
func witness(src string) (s string, ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	f, err := parser.ParseBytes([]byte(src), 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return "", false
	}
	for _, d := range f.Docs {
		if d.Body != nil {
			return showAST(d.Body), true
		}
	}
	return "null", true
}

func showAST(n ast.Node) string {
	switch n := n.(type) {
	case *ast.SequenceNode:
		var items []string
		for _, i := range n.Values {
			items = append(items, showAST(i))
		}
		return "[" + strings.Join(items, ", ") + "]"
	case *ast.MappingNode:
		var keys []string
		for _, k := range n.Values {
			keys = append(keys, fmt.Sprintf("%q: %s", k.Key.GetToken().Value, showAST(k.Value)))
		}
		return "{" + strings.Join(keys, ", ") + "}"
	case *ast.LiteralNode:
		return fmt.Sprintf("%q", n.Value.GetToken().Value)
	case *ast.NullNode:
		return "null"
	default:
		if n.GetToken().Type == token.NullType {
			return "null"
		}
		return fmt.Sprintf("%q", n.GetToken().Value)
	}
}

// Files that mean harm are refused or read in time in proportion to their size. There is no clock here: what is not would take
// minutes, and the test's time limit tells.
func TestBombs(t *testing.T) {
	const size = 50_000 // bytes
	for _, piece := range []string{
		"[", "{", "- ", "a: ", "{a: ", "[a,", "? ", "&a ", "*a ", "!!x ", "!x ", "<<: ", "<", "\"", "'", "|\n", "k: v\n", "- a:\n", "- - x\n",
		"- !x\n", "a: |\n  x\n", "a, ", "{}, ", "[], ", "a: , ", "---\n", "%x\n", "# c\n", "]", ",", ":", "x\n", " ", "\n", "- a: b\n  c: d\n", "é",
	} {
		for _, around := range [][2]string{{"", ""}, {"x: [", "]"}, {"x: {", "}"}, {"x: \"", "\""}, {"x: |\n  ", ""}} {
			src := around[0] + strings.Repeat(piece, size/len(piece)) + around[1]
			if _, err := Parse("bomb", []byte(src), Options{}); err == nil {
				t.Errorf("%q in %q is no policy", piece, around)
			}
		}
	}
}

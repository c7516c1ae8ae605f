package policy

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/fstest"
)

// tree writes files below a new directory, and returns it. "-> target" is a symlink.
func writeTree(t testing.TB, files map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if target, ok := strings.CutPrefix(text, "-> "); ok {
			if err := os.Symlink(target, path); err != nil {
				t.Skipf("no symlinks here: %v", err)
			}
			continue
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const v1 = "version: 1\n"

// Included files come before the file that names them, in the order in which they are named, and places name the right file.
func TestInclude(t *testing.T) {
	dir := writeTree(t, map[string]string{
		"p.yaml": v1 + "include: [a.yaml, 'conf.d/*.yaml', 'empty.d/*.yaml']\nsublayers: [{name: base}]\nfilters:\n" +
			"  - {name: own, layer: ipforward, sublayer: base, action: callout, callout: c}\n",
		"a.yaml":        v1 + "filters: [{name: a, layer: ipforward, sublayer: base, action: block, when: tcp}]\n",
		"conf.d/2.yaml": v1 + "filters: [{name: two, layer: ipforward, action: block, when: udp}]\n",
		"conf.d/1.yaml": v1 + "include: [sub/one.yaml]\n",
		"conf.d/sub/one.yaml": v1 + "filters: [{name: one, layer: ipforward, action: block, when: icmp}]\n" +
			"callouts: [{name: c, type: fake, config: {word: red}}]\n",
		"conf.d/not.txt": "nothing",
	})
	f, err := Load(filepath.Join(dir, "p.yaml"), testOptions)
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Policy.Filters(); !reflect.DeepEqual(got, []string{"a", "one", "two", "own"}) {
		t.Errorf("filters %v", got)
	}
	var files []string
	for _, name := range f.Files {
		rel, _ := filepath.Rel(dir, name)
		files = append(files, filepath.ToSlash(rel))
	}
	if want := []string{"p.yaml", "a.yaml", "conf.d/1.yaml", "conf.d/sub/one.yaml", "conf.d/2.yaml"}; !reflect.DeepEqual(files, want) {
		t.Errorf("files %v", files)
	}
	if p := f.Filters[1].Place; p != (Place{filepath.Join(dir, "conf.d", "sub", "one.yaml"), 2, 11}) {
		t.Errorf("place %v", p)
	}
}

// Nothing outside of the policy's directory is read, by whatever way it is named, and each mistake is told where it is made.
func TestIncludeRefuses(t *testing.T) {
	secret := filepath.Join(writeTree(t, map[string]string{"secret.yaml": v1}), "secret.yaml")
	dir := writeTree(t, map[string]string{
		"link.yaml": "-> " + secret, "dir/up": "-> " + filepath.Dir(secret), "twice.yaml": v1, "bad.yaml": v1 + "filtrs: []\ndriver: {backend: sim}\n",
		"self.yaml": v1 + "include: [p.yaml]\n", "loop.yaml": v1 + "include: [loop.yaml]\n", "broken.yaml": "filters: [", "tab.yaml": "a:\tb",
		"out.yaml":  v1 + "callouts: [{name: x, type: files, config: {read: ../in, write: ../out}}]\n",
		"same.yaml": v1 + "filters: [{name: a, layer: ipforward, action: block}]\n", "none.yaml": "# nothing\n",
	})
	in := func(name string) string { return filepath.Join(dir, name) }
	p := in("p.yaml")
	for _, c := range []struct{ include, want string }{
		{secret, p + `:2:11: ` + quote(secret) + ` leads out of the policy's directory; put the file there, and name it from there`},
		{"../x.yaml", p + `:2:11: "../x.yaml" leads out of the policy's directory; put the file there, and name it from there`},
		{"dir/../../x.yaml", p + `:2:11: "dir/../../x.yaml" leads out of the policy's directory; put the file there, and name it from there`},
		{"link.yaml", p + `:2:11: "link.yaml" cannot be read: a symlink leads out of the policy's directory; put the file there`},
		{"dir/up/secret.yaml", p + `:2:11: "dir/up/secret.yaml" cannot be read: a symlink leads out of the policy's directory; put the file there`},
		{"nothing.yaml", p + `:2:11: "nothing.yaml" cannot be read: no such file or directory`},
		{"dir", p + `:2:11: "dir" is not a file; name one`},
		{"''", p + `:2:11: a path is empty; name a file`},
		{"d*/x.yaml", p + `:2:11: only the last part of a path may be a pattern; name the directories`},
		{"'[.yaml'", p + `:2:11: "[.yaml" is no pattern; * stands for any letters, ? for one, [a-c] for one of these`},
		{"p.yaml", p + `:2:11: the policy includes itself; remove this`},
		{"twice.yaml, ./twice.yaml", p + `:2:23: "twice.yaml" is included at line 2 already; remove one`},
		{"self.yaml", in("self.yaml") + `:2:11: the policy includes itself; remove this`},
		{"loop.yaml", in("loop.yaml") + `:2:11: "loop.yaml" is included at ` + p + `:2 already; remove one`},
		{"bad.yaml", in("bad.yaml") + ":2:1: unknown key \"filtrs\"; did you mean \"filters\"?\n" +
			in("bad.yaml") + ":3:1: \"driver\" belongs into the policy itself, which is " + p + "; move it there"},
		{"broken.yaml", in("broken.yaml") + `:1:10: "[" without its "]"`},
		{"tab.yaml", in("tab.yaml") + `:1:3: tab; indent and separate with spaces`},
		{"none.yaml", in("none.yaml") + `:1:1: key "version" is missing; add version: …`},
		{"out.yaml", in("out.yaml") + ":2:50: \"../in\" leads out of the policy's directory; put the file there\n" +
			in("out.yaml") + ":2:64: \"../out\" leads out of the policy's directory; put the file there, or allow the directory with --allow-write"},
		{"same.yaml]\nfilters: [{name: a, layer: ipforward, action: block}", p + `:3:18: filter "a" is defined at ` + in("same.yaml") + `:2 already; rename one`},
		{"7", p + `:2:11: want text, got 7; quote it: "7"`},
	} {
		if err := os.WriteFile(p, []byte(v1+"include: ["+c.include+"]\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Load(p, pathOptions)
		if got := fmt.Sprint(err); got != c.want {
			t.Errorf("%s\ngot  %s\nwant %s", c.include, got, c.want)
		}
	}
	if _, err := Parse("p", []byte(v1+"include: [a.yaml]"), Options{}); fmt.Sprint(err) != "p:2:11: this policy is read from memory, and can include nothing; load it from a file" {
		t.Error(err)
	}
}

// Files that include each other have an end, and so have their number and their size.
func TestIncludeIsBounded(t *testing.T) {
	deep, many := fstest.MapFS{}, fstest.MapFS{}
	for i := range 20 {
		deep[fmt.Sprintf("%d.yaml", i)] = &fstest.MapFile{Data: fmt.Appendf(nil, "version: 1\ninclude: [%d.yaml]\n", i+1)}
	}
	for i := range FilesMax + 5 {
		many[fmt.Sprintf("m/%03d.yaml", i)] = &fstest.MapFile{Data: []byte(v1)}
	}
	large := fstest.MapFS{
		"a.yaml": {Data: []byte(v1 + strings.Repeat("# "+strings.Repeat("x", 98)+"\n", SizeMax/200))},
		"b.yaml": {Data: []byte(v1 + strings.Repeat("# "+strings.Repeat("x", 98)+"\n", SizeMax/200))},
	}
	for _, c := range []struct {
		files   fstest.MapFS
		include string
		want    string
	}{
		{deep, "0.yaml", "files that include each other, deeper than 8"},
		{many, "m/*.yaml", fmt.Sprintf("more than %d files; join some", FilesMax)},
		{large, "[ab].yaml", "b.yaml: larger than 4 MiB"},
	} {
		_, err := parse("p", []byte(v1+"include: ['"+c.include+"']"), Options{}, c.files)
		if !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("%s: %v, want %s", c.include, err, c.want)
		}
	}
}

// FuzzInclude: whatever two files say, what is read stays below, and errors have a place in one of the files.
func FuzzInclude(f *testing.F) {
	f.Add(v1+"include: [a.yaml]\n", v1+"filters: [{name: a, layer: ipforward, action: block}]\n")
	f.Add(v1+"include: ['*.yaml', ../x, /etc/passwd, 'd/../a.yaml']\n", v1+"include: [p, a.yaml]\n")
	f.Add(v1+"include: ['[', '', 7, [a.yaml], 'a?yaml']\n", "filters: [")
	f.Fuzz(func(t *testing.T, policy, included string) {
		below := fstest.MapFS{"a.yaml": {Data: []byte(included)}, "d/b.yaml": {Data: []byte(included)}}
		file, err := parse("p", []byte(policy), testOptions, below)
		if err == nil {
			for _, name := range file.Files {
				if name != "p" && name != "a.yaml" && name != filepath.Join("d", "b.yaml") {
					t.Errorf("read %q", name)
				}
			}
			file.Lint()
			return
		}
		var all *Errors
		if !errors.As(err, &all) || len(all.List) == 0 {
			t.Fatalf("error %#v", err)
		}
		for _, e := range all.List {
			if e.File == "" || e.Msg == "" {
				t.Errorf("%+v", e)
			}
		}
	})
}

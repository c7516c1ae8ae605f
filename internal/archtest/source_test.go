package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/weirnet/weir"

// source is what the rules need to know of a Go file.
type source struct {
	path    string // from the module's root, with slashes
	pkg     string // the name in its package clause
	imports []string
	noises  []string // calls that print or exit
}

func (s source) dir() string { return path.Dir(s.path) }
func (s source) test() bool  { return strings.HasSuffix(s.path, "_test.go") }

// readSource parses one file. src is nil or the text, as for parser.ParseFile.
func readSource(name, open string, src any) (source, error) {
	f, err := parser.ParseFile(token.NewFileSet(), open, src, parser.SkipObjectResolution)
	if err != nil {
		return source{}, err
	}
	s := source{path: name, pkg: f.Name.Name}
	for _, spec := range f.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return source{}, err
		}
		s.imports = append(s.imports, p)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		if noise := noisy(n); noise != "" {
			s.noises = append(s.noises, noise)
		}
		return true
	})
	return s, nil
}

// noisy names what a library must not touch: the program's output and its life.
func noisy(n ast.Node) string {
	sel, ok := n.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	pkg, ok := sel.X.(*ast.Ident)
	if !ok {
		return ""
	}
	switch name := pkg.Name + "." + sel.Sel.Name; name {
	case "fmt.Print", "fmt.Printf", "fmt.Println", "os.Exit", "os.Stdout", "os.Stderr", "os.Stdin":
		return name
	}
	return ""
}

// readModule reads every Go file of the module, whatever platform it is for. Folders that Go leaves out are left out:
// testdata, names that start with a dot or an underscore, and modules of their own.
func readModule(t *testing.T) []source {
	t.Helper()
	root := filepath.Join("..", "..")
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		t.Fatalf("the module's root is not at %s: %v", root, err)
	}
	var all []source
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if file != root && skipped(file, d.Name()) {
				return filepath.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(file, ".go") || strings.HasPrefix(d.Name(), ".") || strings.HasPrefix(d.Name(), "_") {
			return nil
		}
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		s, err := readSource(filepath.ToSlash(rel), file, nil)
		all = append(all, s)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func skipped(dir, name string) bool {
	if name == "testdata" || name == "vendor" || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") {
		return true
	}
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	return err == nil
}

package policy

import (
	"bytes"
	"encoding/json"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml/token"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/weirnet/weir/processor/callouts"
)

// compileSchema has another program read the schema.
func compileSchema(t testing.TB, text []byte) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(SchemaID, doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile(SchemaID)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// plain is what a reader of YAML makes of a policy.
func (n *node) plain() any {
	switch n.kind {
	case mapping:
		m := map[string]any{}
		for _, k := range n.keys {
			m[k.key.text] = k.value.plain()
		}
		return m
	case sequence:
		list := make([]any, len(n.items))
		for i, item := range n.items {
			list[i] = item.plain()
		}
		return list
	case null:
		return nil
	}
	switch {
	case n.isText():
		return n.text
	case n.style == token.BoolType:
		return strings.EqualFold(n.text, "true")
	case wholeNumber.MatchString(n.text):
		return json.Number(decimal(n.text))
	}
	return n.text
}

// accepts says what the schema thinks of a text.
func accepts(t testing.TB, s *jsonschema.Schema, text string) error {
	t.Helper()
	root, err := parseTree(newSource("p", text))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(root.plain())
}

// shipped are the options of the program.
var shipped = Options{Factories: callouts.Factories()}

// The file in the repository is what the types say now.
func TestSchemaIsCommitted(t *testing.T) {
	b, err := os.ReadFile("../../docs/policy.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	if string(bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n"))) != string(Schema(shipped.Factories)) {
		t.Error("docs/policy.schema.json is not of these types; go generate ./cmd/weir")
	}
}

// The schema accepts every policy of the repository, and refuses each broken one, which Parse refuses too.
func TestSchemaJudgesFiles(t *testing.T) {
	s := compileSchema(t, Schema(shipped.Factories))
	for pattern, least := range map[string]int{
		"../../examples/*.yaml": 8, "../../examples/*/*.yaml": 1, "../../cmd/weir/starter.yaml": 1, "testdata/considerations/*.yaml": 1, "testdata/broken/*.yaml": 30,
	} {
		files, err := filepath.Glob(pattern)
		if err != nil || len(files) < least {
			t.Errorf("%s: %d files, %v", pattern, len(files), err)
		}
		for _, path := range files {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			said := accepts(t, s, string(b))
			broken := strings.Contains(path, "broken")
			if strings.Contains(path, "considerations") {
				said = accepts(t, compileSchema(t, Schema(considerationOptions(nil).Factories)), string(b))
			}
			if (said != nil) != broken {
				t.Errorf("%s: the schema says %v", path, said)
			}
			if _, err := Load(path, shipped); broken && err == nil {
				t.Errorf("%s is a policy", path)
			}
		}
	}
}

// FuzzSchema: what is a policy, the schema accepts.
func FuzzSchema(f *testing.F) {
	f.Add(whole)
	f.Add("version: 0x1\ndriver: {backend: nfqueue, spin: 0, fail-closed: True}\nrules: {time-budget: report}\nhandles:\nfilters: ~\n")
	f.Add("version: 1\nfilters: [{name: a, layer: ale-flow-established, weight: {class: 3}, conditions: [{field: tcp-flags, match: flags-all-set, value: [syn]}], action: block, reason: x}]\n")
	s := compileSchema(f, Schema(testOptions.Factories))
	f.Fuzz(func(t *testing.T, src string) {
		opts := testOptions
		opts.WriteDirs = []string{"/tmp"}
		if _, err := Parse("p", []byte(src), opts); err != nil {
			return
		}
		if err := accepts(t, s, src); err != nil {
			t.Errorf("%q\n%v", src, err)
		}
	})
}

// decimal writes a whole number as JSON has it.
func decimal(text string) string {
	i, _ := new(big.Int).SetString(text, 0)
	return i.String()
}

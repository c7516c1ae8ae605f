package policy_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/weirnet/weir/divertdrv/filter/set"
	"github.com/weirnet/weir/processor/callouts"
	"github.com/weirnet/weir/processor/policy"
)

var options = policy.Options{Factories: callouts.Factories()}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(b), "\r\n", "\n")
}

// fence is a fenced block of Markdown: its info string and its text.
var fence = regexp.MustCompile("(?ms)^```([a-z ]*)\n(.*?)^```$")

// Every example of docs/policy.md is a policy without warnings, but for the wrong one, which is followed by its errors.
func TestExamplesOfTheReference(t *testing.T) {
	var wrong error
	policies := 0
	for _, block := range fence.FindAllStringSubmatch(read(t, "../../docs/policy.md"), -1) {
		info, text := block[1], block[2]
		switch info {
		case "yaml":
			policies++
			if !strings.HasPrefix(text, "version:") {
				text = "version: 1\n" + text
			}
			parse(t, text)
		case "yaml wrong":
			_, wrong = policy.Parse("policy.yaml", []byte(text), options)
		case "text set":
			if entries, wrong := set.ParseFile("set.txt", text); len(entries) == 0 || len(wrong) > 0 {
				t.Errorf("%d entries, %v", len(entries), wrong)
			}
		case "text":
			if got := fmt.Sprint(wrong) + "\n"; got != text {
				t.Errorf("errors are\n%s\nthe reference says\n%s", got, text)
			}
		case "json":
			checkResult(t, text)
		default:
			t.Errorf("a block of kind %q", info)
		}
	}
	if policies < 5 || wrong == nil {
		t.Errorf("%d policies and the error %v were found", policies, wrong)
	}
}

func parse(t *testing.T, text string) {
	t.Helper()
	f, err := policy.Parse("policy.yaml", []byte(text), options)
	if err != nil {
		t.Errorf("%v\nin\n%s", err, text)
		return
	}
	for _, l := range f.Lint() {
		t.Errorf("warning %+v\nin\n%s", l, text)
	}
}

func checkResult(t *testing.T, text string) {
	t.Helper()
	var r map[string]any
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatal(err)
	}
	n := func(key string) float64 {
		v, ok := r[key].(float64)
		if !ok {
			t.Errorf("no number %s", key)
		}
		return v
	}
	if n("received") != n("passed")+n("dropped")+n("held")+n("in_batch") || n("injected") != n("completed")+n("failed") {
		t.Error("the example breaks the law of conservation")
	}
}

// The policies in the manuals of the callouts are indented; each is one that can be run.
func TestExamplesOfTheManuals(t *testing.T) {
	manuals, err := filepath.Glob("../callouts/*/README.md")
	if err != nil || len(manuals) != len(callouts.Factories()) {
		t.Fatalf("%d manuals of %d callouts, %v", len(manuals), len(callouts.Factories()), err)
	}
	for _, path := range manuals {
		examples := 0
		for _, block := range strings.Split(read(t, path), "\n\n    version: 1\n")[1:] {
			text := "version: 1\n"
			for line := range strings.Lines(block) {
				inner, ok := strings.CutPrefix(line, "    ")
				if !ok && strings.TrimSpace(line) != "" {
					break
				}
				text += inner
			}
			parse(t, text)
			examples++
		}
		if examples == 0 {
			t.Errorf("%s has no example", path)
		}
	}
}

func TestExampleFiles(t *testing.T) {
	files, err := filepath.Glob("../../examples/*.yaml")
	if err != nil || len(files) < 3 {
		t.Fatalf("%d examples, %v", len(files), err)
	}
	for _, path := range files {
		f, err := policy.Load(path, options)
		if err != nil {
			t.Error(err)
			continue
		}
		if l := f.Lint(); l != nil {
			t.Errorf("%s: warnings %+v", path, l)
		}
		if f.Driver.Read != "" {
			if _, err := os.Stat(f.Driver.Read); err != nil {
				t.Error(err)
			}
		}
	}
}

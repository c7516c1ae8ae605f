package policy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirnet/weir/processor"
)

// pathOptions know a callout with paths.
var pathOptions = Options{Factories: map[string]Factory{
	"files": func(name string, decode func(any) error) (processor.Callout, error) {
		f := &files{name: name}
		return f, decode(&f.c)
	},
}}

type files struct {
	name string
	c    struct {
		Read  string `yaml:"read" path:"read"`
		Write string `yaml:"write" path:"write"`
	}
}

func (f *files) Name() string { return f.name }

func (f *files) Classify(*processor.Classification) processor.Verdict { return processor.Verdict{} }

// What a policy has written stays in its directory and those that are allowed, also where symlinks lead elsewhere.
func TestWritePaths(t *testing.T) {
	elsewhere, allowed := t.TempDir(), t.TempDir()
	dir := writeTree(t, map[string]string{
		"sub/x": "", "out": "-> " + elsewhere, "file": "-> " + filepath.Join(elsewhere, "new"), "in": "-> sub", "there": "-> " + allowed,
	})
	p := filepath.Join(dir, "p.yaml")
	for path, ok := range map[string]bool{
		"a.pcapng": true, "sub/a.pcapng": true, "new/sub/a.pcapng": true, "in/a.pcapng": true, "sub/../a.pcapng": true,
		filepath.Join(dir, "a.pcapng"): true, filepath.Join(allowed, "a.pcapng"): true, "there/a.pcapng": true,
		"../a.pcapng": false, "sub/../../a": false, "out/a.pcapng": false, "file": false, ".": false,
		filepath.Join(elsewhere, "a.pcapng"): false, filepath.Join(allowed, "..", "a"): false, "/etc/cron.d/weir": false, allowed: false,
	} {
		for _, text := range []string{
			v1 + "driver: {backend: sim, write: '" + path + "'}",
			v1 + "callouts: [{name: c, type: files, config: {write: '" + path + "', read: ../captures/x}}]",
		} {
			if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := Load(p, Options{Factories: pathOptions.Factories, WriteDirs: []string{allowed}})
			if (err == nil) != ok || err != nil && !strings.Contains(err.Error(), "leads out of the policy's directory; put the file there, or allow") {
				t.Errorf("%s: %v", path, err)
			}
		}
	}
}

package authenticode

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A driver that is not good is refused each time; one that is good is read again only when it changed.
func TestVet(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.sys")
	write := func(b []byte) {
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(testImage())
	for range 2 {
		var refused *RefusedError
		if err := Vet(path); !errors.As(err, &refused) || !errors.Is(err, ErrUnsigned) || !strings.Contains(err.Error(), "weir driver verify") {
			t.Errorf("unsigned: %v", err)
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	vets.Lock()
	vets.good[path] = vetted{info.Size(), info.ModTime().UnixNano()} // as if it had been good
	vets.Unlock()
	if err := Vet(path); err != nil {
		t.Errorf("known: %v", err)
	}
	write(append(testImage(), 0))
	if err := Vet(path); !errors.Is(err, ErrUnsigned) {
		t.Errorf("changed: %v", err)
	}
	if err := Vet(path + ".none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("none: %v", err)
	}
}

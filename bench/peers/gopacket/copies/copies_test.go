package copies_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/weirnet/weir/bench/peers/gopacket/copies"
)

func TestForkIsAsGenerated(t *testing.T) {
	want, err := copies.Make("../google")
	if err != nil || len(want) == 0 {
		t.Fatal(len(want), err)
	}
	got, _ := filepath.Glob("../fork/*.go")
	if len(got) != len(want) {
		t.Errorf("%d files, want %d", len(got), len(want))
	}
	for name, text := range want {
		if b, err := os.ReadFile("../fork/" + name); err != nil || string(b) != text {
			t.Errorf("%s is not as `go generate ./gopacket/google` writes it: %v", name, err)
		}
	}
}

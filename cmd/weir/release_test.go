package main

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"testing"
)

// The profile that packages are built by is small, has the way of a packet, and nothing of the machine that made it.
func TestReleaseProfile(t *testing.T) {
	b, err := os.ReadFile("release.pgo")
	if err != nil || len(b) > 200<<10 {
		t.Fatalf("%d bytes, %v", len(b), err)
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	profile, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"github.com/weirnet/weir/processor.": true, "github.com/weirnet/weir/divertdrv/filter.": true,
		"/tmp/": false, "/root/": false, "/home/": false,
	} {
		if bytes.Contains(profile, []byte(name)) != want {
			t.Errorf("it names %s: %t; docs/performance.md says how it is made", name, !want)
		}
	}
}

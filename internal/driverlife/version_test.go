package driverlife

import (
	"strings"
	"testing"
)

func TestVersion(t *testing.T) {
	fixed := "\xbd\x04\xef\xfe\x00\x00\x01\x00\x02\x00\x02\x00\x07\x00\x02\x00"
	text := func(s string) string { return string(wide("FileVersion\x00\x00" + s)) }
	for in, want := range map[string]string{
		"": "", "none": "", fixed[:8]: "", fixed: "2.2.2.7", fixed + text("2.2\x00"): "2.2", text("2.2"): "", text("\x1b[2J\x00") + fixed: "2.2.2.7",
		text(strings.Repeat("9", 100)) + fixed: "2.2.2.7", string(wide("FileVersion\x00")): "",
	} {
		if got := versionOf([]byte(in)); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func FuzzVersion(f *testing.F) {
	f.Add(wide("FileVersion\x00\x002.2\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if v := versionOf(b); len([]rune(v)) > maxVersion || strings.ContainsAny(v, "\n\x1b") {
			t.Errorf("%q", v)
		}
	})
}

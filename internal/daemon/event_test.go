package daemon

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// The manual has every kind of line, with its component.
func TestEventsManual(t *testing.T) {
	text, err := os.ReadFile("../../docs/operating.md")
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| (`[a-z-]+`(?:, `[a-z-]+`)*) \\| ([a-z]+) \\| ([a-z, ]+) \\|").FindAllStringSubmatch(string(text), -1) {
		codes, levels := strings.Split(row[1], ", "), strings.Split(row[3], ", ")
		for i, code := range codes {
			told[strings.Trim(code, "`")] = row[2] + " " + levels[min(i, len(levels)-1)]
		}
	}
	codes := map[string]bool{}
	for _, e := range events {
		if codes[e.code] {
			t.Errorf("%s stands for two kinds", e.code)
		}
		codes[e.code] = true
		if want := e.component + " " + e.level.String(); told[e.code] != want {
			t.Errorf("docs/operating.md: %s is %q, want %q", e.code, told[e.code], want)
		}
		delete(told, e.code)
	}
	for code := range told {
		t.Errorf("docs/operating.md has %s, which is not there", code)
	}
}

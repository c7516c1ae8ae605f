package daemon_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/weirnet/weir/internal/daemon"
)

// A run is a handful of lines, however many packets it has.
func TestLogOfARun(t *testing.T) {
	for _, format := range daemon.LogFormats() {
		var b bytes.Buffer
		log, err := daemon.NewLogger(&b, "debug", format)
		if err != nil {
			t.Fatal(err)
		}
		s, err := daemon.Open(sim(t, 3000), log)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(b.String()), "\n")
		if len(lines) != 2 || !strings.Contains(lines[0], "running") || !strings.Contains(lines[1], "stopped") {
			t.Errorf("%s: %q", format, lines)
		}
		var last map[string]any
		if isJSON := json.Unmarshal([]byte(lines[1]), &last) == nil; isJSON != (format == daemon.FormatJSON) {
			t.Errorf("%s: %s", format, lines[1])
		}
		if format == daemon.FormatJSON && (last["received"] != 3000.0 || last["level"] != "info") {
			t.Errorf("%v", last)
		}
	}
}

func TestLogWords(t *testing.T) {
	for _, level := range daemon.LogLevels() {
		if _, err := daemon.NewLogger(&bytes.Buffer{}, level, daemon.FormatJSON); err != nil {
			t.Error(err)
		}
	}
	for _, c := range [][2]string{{"loud", "json"}, {"fatal", "json"}, {"", "json"}, {"info", "xml"}, {"info", ""}} {
		if _, err := daemon.NewLogger(&bytes.Buffer{}, c[0], c[1]); err == nil || !strings.Contains(err.Error(), "want one of") {
			t.Errorf("%q: %v", c, err)
		}
	}
}

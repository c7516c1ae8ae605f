package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/weirnet/weir/internal/doctor"
)

// Both forms tell the same findings, and the exit status is theirs, whatever this system has.
func TestDoctor(t *testing.T) {
	o := weir(t, "", "doctor", "--json")
	var r doctor.Report
	if err := json.Unmarshal([]byte(o.out), &r); err != nil {
		t.Fatal(err)
	}
	want := map[bool]int{true: exitDone, false: exitFailed}[r.OK]
	text := weir(t, "", "doctor")
	if o.status != want || text.status != want || o.err != "" || text.err != "" {
		t.Errorf("ok is %v, status %d and %d, %q %q", r.OK, o.status, text.status, o.err, text.err)
	}
	for _, f := range r.Findings {
		if !strings.Contains(text.out, "  "+f.Name) {
			t.Errorf("the text does not tell of %q", f.Name)
		}
	}
	if o := weir(t, "", "doctor", "me"); o.status != exitUsage {
		t.Errorf("with an argument: status %d", o.status)
	}
}

package doctor

import (
	"encoding/json"
	"runtime"
	"strings"
	"testing"
)

// A report has every finding under its check, fails iff one failed, and is the same in both forms.
func TestReport(t *testing.T) {
	good := check{"one", func() []Finding {
		return []Finding{
			{Name: "here", State: OK},
			{Name: "of note", State: Info, Detail: "seen"},
			{Name: "optional", State: Warn, Detail: "ENOENT", Cost: "a little", Remedy: "get it"},
		}
	}}
	bad := check{"two", func() []Finding { return []Finding{{Name: "needed", State: Fail, Cost: "all", Remedy: "buy it"}} }}
	empty := check{"none", func() []Finding { return nil }}

	r := examine([]check{good, empty})
	if !r.OK || len(r.Findings) != 3 {
		t.Errorf("%+v", r)
	}
	r = examine([]check{good, empty, bad})
	if r.OK {
		t.Error("a failure is not told")
	}
	var text strings.Builder
	if n, err := r.WriteTo(&text); err != nil || int(n) != text.Len() {
		t.Fatal(n, err)
	}
	want := platform() + `

one
  ok    here
  info  of note: seen
  warn  optional: ENOENT
        costs  a little
        mend   get it

two
  fail  needed
        costs  all
        mend   buy it

Packets cannot be diverted here: mend what failed.
`
	if text.String() != want {
		t.Errorf("got\n%s\nwant\n%s", text.String(), want)
	}
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	var back Report
	if err := json.Unmarshal(b, &back); err != nil || back.OK || len(back.Findings) != 4 || back.Findings[3] != r.Findings[3] {
		t.Errorf("%s: %v", b, err)
	}
}

// On every system there is something to say, each finding is whole, and what lacks says what that costs and how it is mended.
func TestExamine(t *testing.T) {
	r := Examine()
	if len(r.Findings) == 0 || !strings.HasPrefix(r.Platform, runtime.GOOS+"/"+runtime.GOARCH) {
		t.Fatalf("%+v", r)
	}
	for _, f := range r.Findings {
		if f.Check == "" || f.Name == "" || (f.State == Fail && (f.Cost == "" || f.Remedy == "")) {
			t.Errorf("says too little: %+v", f)
		}
		if f.State != OK && f.State != Info && f.State != Warn && f.State != Fail {
			t.Errorf("state %q", f.State)
		}
	}
}

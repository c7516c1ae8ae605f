package doctor

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/weirnet/weir/internal/driverlife"
)

// whole is a system where packets can be diverted.
func whole() *windows {
	return &windows{arch: "amd64", elevated: true, engine: driverlife.Running, folder: `C:\weir`, status: &driverlife.Status{}}
}

func (w *windows) all() []Finding {
	r := examine([]check{{"privileges", w.privileges}, {"system", w.system}, {"files", w.files}, {"service", w.service}})
	return r.Findings
}

// Each thing that lacks changes one finding, which says what it costs and what mends it.
func TestWindows(t *testing.T) {
	for _, f := range whole().all() {
		if f.State != OK && f.State != Info {
			t.Errorf("whole: %+v", f)
		}
	}
	entry := func(name string, state driverlife.State, faults ...driverlife.Fault) driverlife.Look {
		return driverlife.Look{Entry: driverlife.Entry{Name: name, State: state, File: `D:\x.sys`}, Version: "2.2.2.0", Faults: faults}
	}
	fault := driverlife.Fault{Error: 1058, Detail: "it is disabled", Remedy: "weir driver clean"}
	for name, c := range map[string]struct {
		change func(w *windows)
		about  string
		state  State
		detail string
	}{
		"no rights":      {func(w *windows) { w.elevated = false }, "administrator", Fail, "rights"},
		"arm64":          {func(w *windows) { w.arch = "arm64" }, "machine", Fail, "no signed driver"},
		"no engine":      {func(w *windows) { w.engine = driverlife.Stopped }, "Base Filtering Engine", Fail, "stopped"},
		"engine unknown": {func(w *windows) { w.noEngine = errors.New("denied") }, "Base Filtering Engine", Warn, "denied"},
		"no library":     {func(w *windows) { w.library = fs.ErrNotExist }, "WinDivert.dll", Fail, "not beside"},
		"no driver":      {func(w *windows) { w.file = fs.ErrNotExist }, "WinDivert64.sys", Fail, "not exist"},
		"driver elsewhere": {func(w *windows) {
			w.file, w.status.Entries = fs.ErrNotExist, []driverlife.Look{entry("WinDivert", driverlife.Stopped)}
		}, "WinDivert64.sys", Info, `D:\x.sys`},
		"driver nowhere": {func(w *windows) {
			w.file, w.status.Entries = fs.ErrNotExist, []driverlife.Look{entry("WinDivert", driverlife.Stopped, fault)}
		}, "WinDivert64.sys", Fail, "not exist"},
		"tampered":  {func(w *windows) { w.signed = errors.New("changed after it was signed") }, "WinDivert64.sys", Fail, "changed"},
		"installed": {func(w *windows) { w.status.Entries = []driverlife.Look{entry("WinDivert", driverlife.Running)} }, "service WinDivert", OK, "running, version 2.2.2.0"},
		"stale":     {func(w *windows) { w.status.Entries = []driverlife.Look{entry("WinDivert", driverlife.Stopped, fault)} }, "service WinDivert", Fail, "error 1058"},
		"moved":     {func(w *windows) { w.status.Entries = []driverlife.Look{entry("WinDivert", driverlife.Running, fault)} }, "service WinDivert", Warn, "error 1058"},
		"older": {func(w *windows) {
			w.status.Entries = []driverlife.Look{entry("WinDivert14", driverlife.Stopped, fault)}
		}, "service WinDivert14", Warn, "error 1058"},
		"unknown": {func(w *windows) { w.noStatus = errors.New("denied") }, "service", Warn, "denied"},
		"in use":  {func(w *windows) { w.status.Users = []driverlife.User{{ProcessID: 5, Process: "a.exe", Priority: 7}} }, "handle", Info, "a.exe (pid 5)"},
		"use hid": {func(w *windows) { w.status.UsersErr = "denied" }, "handles", Info, "denied"},
	} {
		w := whole()
		c.change(w)
		found := false
		for _, f := range w.all() {
			if f.Name == c.about {
				found = true
				if f.State != c.state || !strings.Contains(f.Detail, c.detail) {
					t.Errorf("%s: %+v, want %s and %q", name, f, c.state, c.detail)
				}
			} else if f.State != OK && f.State != Info && name != "driver nowhere" {
				t.Errorf("%s: also %+v", name, f)
			}
			if f.State == Fail && (f.Cost == "" || f.Remedy == "") {
				t.Errorf("%s: says too little: %+v", name, f)
			}
		}
		if !found {
			t.Errorf("%s: nothing about %s", name, c.about)
		}
	}
}

package driverlife

import (
	"errors"
	"io/fs"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/internal/clock"
)

const (
	sys   = `C:\weir\WinDivert64.sys`
	other = `C:\dpi\WinDivert64.sys`
)

// What is wrong with an entry, the error that opening a handle gives for it, and whether it can be mended.
func TestDiagnose(t *testing.T) {
	for name, c := range map[string]struct {
		e     Entry
		files map[string]string
		want  []Fault
	}{
		"whole":                {Entry{State: Stopped, File: sys}, map[string]string{sys: good}, nil},
		"running":              {Entry{State: Running, File: sys, Deleted: true}, map[string]string{sys: good}, nil}, // as the DLL leaves it
		"moved":                {Entry{State: Stopped, File: sys}, nil, []Fault{{errFileNotFound, "is gone, so it cannot start", Remove, ""}}},
		"folder moved":         {Entry{State: Stopped, File: `C:\gone\x.sys`}, nil, []Fault{{errPathNotFound, "is gone, so it cannot start", Remove, ""}}},
		"moved while it ran":   {Entry{State: Running, File: sys}, nil, []Fault{{errFileNotFound, "is gone", None, "from memory"}}},
		"disabled":             {Entry{State: Stopped, File: sys, Disabled: true}, map[string]string{sys: good}, []Fault{{errDisabled, "disabled", Enable, ""}}},
		"held open":            {Entry{State: Stopped, File: sys, Deleted: true}, map[string]string{sys: good}, []Fault{{errMarked, "holds it open", Remove, "restart Windows"}}},
		"does not stop":        {Entry{State: Stopping, File: sys}, map[string]string{sys: good}, []Fault{{errMarked, "holds it open", Remove, "restart Windows"}}},
		"unsigned":             {Entry{State: Stopped, File: sys}, map[string]string{sys: bad}, []Fault{{errSignature, "no signature", None, "weir driver verify"}}},
		"changed while it ran": {Entry{State: Running, File: sys}, map[string]string{sys: bad}, []Fault{{errSignature, "no signature", None, ""}}},
	} {
		c.e.Name = Name
		f := &fake{entries: []Entry{c.e}, files: c.files, handles: 1}
		st, err := f.system().Status()
		if err != nil || len(st.Entries) != 1 {
			t.Fatalf("%s: %v, %+v", name, err, st)
		}
		l := st.Entries[0]
		if len(l.Faults) != len(c.want) {
			t.Errorf("%s: %+v, want %+v", name, l.Faults, c.want)
			continue
		}
		for i, w := range c.want {
			g := l.Faults[i]
			if g.Error != w.Error || g.Mend != w.Mend || !strings.Contains(g.Detail, w.Detail) || g.Remedy == "" || !strings.Contains(g.Remedy, w.Remedy) {
				t.Errorf("%s: %+v, want %+v", name, g, w)
			}
		}
		if (l.Version == "2.2.2.7") != (c.files[c.e.File] != "") || (l.Signature == good) != (c.files[c.e.File] == good) {
			t.Errorf("%s: version %q, signature %q", name, l.Version, l.Signature)
		}
		if (len(st.Users) == 1) != c.e.loaded() {
			t.Errorf("%s: users %v", name, st.Users)
		}
	}
	f := &fake{entries: []Entry{{Name: Name, State: Running, File: sys}}, files: map[string]string{sys: good}, fails: map[string]error{"users": errAccess}}
	if st, err := f.system().Status(); err != nil || !strings.Contains(st.UsersErr, "access denied") {
		t.Errorf("users that cannot be told: %+v, %v", st, err)
	}
}

func TestInstall(t *testing.T) {
	whole := map[string]string{sys: good, other: good}
	for name, c := range map[string]struct {
		entries []Entry
		files   map[string]string
		force   bool
		fails   map[string]error
		handles int
		did     string
		err     string
		is      error
	}{
		"new":            {files: whole, did: "created for " + sys + "; started"},
		"no file":        {err: "error 2: the .sys file", is: fs.ErrNotExist},
		"unsigned":       {files: map[string]string{sys: bad}, err: "no signature; it is not installed; --force"},
		"forced":         {files: map[string]string{sys: bad}, force: true, did: "its signature does not hold", err: "start the driver: error 577: Windows does not accept", is: errSignature},
		"there":          {files: whole, entries: []Entry{{State: Running, File: `c:\WEIR\WinDivert64.sys`}}, did: "it runs already"},
		"stopped":        {files: whole, entries: []Entry{{State: Stopped, File: sys}}, did: "started"},
		"disabled":       {files: whole, entries: []Entry{{State: Stopped, File: sys, Disabled: true}}, did: "enabled: it starts on demand; started"},
		"another's":      {files: whole, entries: []Entry{{State: Stopped, File: other}}, err: "the service is there for another file, " + other, is: errExists},
		"stale":          {files: whole, entries: []Entry{{State: Stopped, File: `C:\old\x.sys`}}, did: "removed; created for " + sys + "; started"},
		"held open":      {files: whole, entries: []Entry{{State: Stopped, File: sys, Deleted: true}}, handles: 1, err: "still stopped: error 1072", is: errMarked},
		"no rights":      {files: whole, fails: map[string]error{"create": errAccess}, err: "create the service: error 5: access denied; mend it: run as administrator", is: errAccess},
		"blocked":        {files: whole, fails: map[string]error{"start": errBlocked}, err: "error 1275: security software", is: errBlocked},
		"not to be seen": {files: whole, fails: map[string]error{"entries": errAccess}, err: "look at services: error 5", is: errAccess},
	} {
		f := &fake{entries: c.entries, files: c.files, fails: c.fails, handles: c.handles}
		for i := range f.entries {
			f.entries[i].Name = Name
		}
		done, err := f.system().Install(sys, c.force)
		if !strings.HasPrefix(did(done), c.did) || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: %q, %v; want %q, %q", name, did(done), err, c.did, c.err)
		}
		if err == nil && (len(f.entries) != 1 || f.entries[0].State != Running || !samePath(f.entries[0].File, sys)) {
			t.Errorf("%s: %+v", name, f.entries)
		}
	}
}

func TestUninstall(t *testing.T) {
	for name, c := range map[string]struct {
		entries []Entry
		handles int
		waits   int
		force   bool
		fails   map[string]error
		did     string
		err     string
		is      error
	}{
		"none":           {did: "it is not installed"},
		"stopped":        {entries: []Entry{{State: Stopped}}, did: "removed"},
		"idle":           {entries: []Entry{{State: Running, Deleted: true}}, did: "told to stop; removed"},
		"in use":         {entries: []Entry{{State: Running}}, handles: 2, err: "in use by goodbyedpi.exe (pid 7); close them first", is: ErrInUse},
		"who cannot see": {entries: []Entry{{State: Running}}, fails: map[string]error{"users": errAccess}, err: "who uses it cannot be told", is: errAccess},
		"forced, closed": {entries: []Entry{{State: Running}}, handles: 1, waits: 3, force: true, did: "told to stop; removed"},
		"forced, held":   {entries: []Entry{{State: Running}}, handles: 1, force: true, did: "told to stop", err: "still stopping: error 1072", is: errMarked},
		"no rights":      {entries: []Entry{{State: Stopped}}, fails: map[string]error{"delete": errAccess}, err: "delete WinDivert: error 5", is: errAccess},
		"gone meanwhile": {entries: []Entry{{State: Running}}, fails: map[string]error{"stop": errNotActive}, did: "told to stop", err: "1072"},
	} {
		f := &fake{entries: c.entries, handles: c.handles, waits: c.waits, fails: c.fails, files: map[string]string{"": good}}
		for i := range f.entries {
			f.entries[i].Name = Name
		}
		done, err := f.system().Uninstall(c.force)
		if did(done) != c.did || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: %q, %v; want %q, %q", name, did(done), err, c.did, c.err)
		}
		if err == nil && len(f.entries) != 0 {
			t.Errorf("%s: %+v", name, f.entries)
		}
	}
}

// Clean takes away what is stale, under every name that WinDivert had, and nothing else.
func TestClean(t *testing.T) {
	f := &fake{files: map[string]string{sys: good, other: good}, entries: []Entry{
		{Name: Name, State: Stopped, File: `C:\gone\x.sys`},
		{Name: "WinDivert14", State: Stopped, File: other},
		{Name: "WinDivert1.3", State: Stopped, File: sys, Disabled: true},
		{Name: "windivert1.2", State: Running, File: `C:\away.sys`},
	}}
	done, err := f.system().Clean()
	if want := `its file C:\gone\x.sys is gone, so it cannot start; removed; enabled: it starts on demand`; did(done) != want {
		t.Errorf("%q, want %q", did(done), want)
	}
	if err == nil || !strings.Contains(err.Error(), "windivert1.2: its file C:\\away.sys is gone; mend it: it runs from memory") {
		t.Errorf("what was left: %v", err)
	}
	if len(f.entries) != 3 || f.entries[1].Disabled {
		t.Errorf("%+v", f.entries)
	}
	f.fails = map[string]error{"entries": errAccess}
	if _, err := f.system().Clean(); !errors.Is(err, errAccess) {
		t.Error(err)
	}
}

// From whatever state: cleaning twice does what cleaning once did, no whole entry is touched, and after a clean without an error
// nothing is left that could be mended; then installing works.
func TestCleanProperty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		files := map[string]string{sys: good}
		for _, path := range []string{`C:\a.sys`, `C:\b.sys`, `C:\gone\c.sys`} {
			if k := rapid.SampledFrom([]string{good, bad, ""}).Draw(t, path); k != "" {
				files[path] = k
			}
		}
		f := &fake{files: files, handles: rapid.IntRange(0, 1).Draw(t, "handles"), waits: rapid.IntRange(0, 6).Draw(t, "waits")}
		for _, name := range []string{Name, "WinDivert14"} {
			if rapid.Bool().Draw(t, name) {
				f.entries = append(f.entries, Entry{
					Name: name, State: rapid.SampledFrom([]State{Stopped, Starting, Running, Stopping}).Draw(t, "state"),
					File:     rapid.SampledFrom([]string{`C:\a.sys`, `C:\b.sys`, `C:\gone\c.sys`}).Draw(t, "file"),
					Disabled: rapid.Bool().Draw(t, "disabled"), Deleted: rapid.Bool().Draw(t, "deleted"),
				})
			}
		}
		before, err := f.system().Status()
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.system().Clean()
		after, _ := f.system().Status()
		for _, l := range before.Entries {
			if len(l.Faults) == 0 && !l.Deleted && !has(after, l.Name) {
				t.Fatalf("%+v was whole and is gone", l)
			}
		}
		if err != nil {
			return
		}
		for _, l := range after.Entries {
			if len(l.Faults) != 0 {
				t.Fatalf("after a clean without an error: %+v", l)
			}
		}
		calls := len(f.calls)
		if done, err := f.system().Clean(); err != nil || len(done) != 0 || len(f.calls) != calls {
			t.Fatalf("the second time: %v, %v", done, err)
		}
		if !has(after, Name) {
			if _, err := f.system().Install(sys, false); err != nil {
				t.Fatalf("install: %v", err)
			}
		}
	})
}

func has(s *Status, name string) bool {
	for _, l := range s.Entries {
		if l.Name == name {
			return true
		}
	}
	return false
}

// Every error that users meet is explained, with a remedy.
func TestExplain(t *testing.T) {
	for _, n := range []Errno{2, 3, 5, 31, 577, 654, 1058, 1060, 1072, 1073, 1275, 1753} {
		if a, ok := Explain(n); !ok || a.Means == "" || a.Remedy == "" || !strings.Contains(n.Error(), a.Means) {
			t.Errorf("%d: %+v", n, a)
		}
	}
	if _, ok := Explain(9999); ok || Errno(9999).Error() != "Windows error 9999" {
		t.Error("an error that nobody knows")
	}
}

func TestPaths(t *testing.T) {
	for image, want := range map[string]string{
		`\??\C:\x\WinDivert64.sys`: `C:\x\WinDivert64.sys`, `"C:\a b\x.sys"`: `C:\a b\x.sys`, `\SystemRoot\System32\drivers\x.sys`: `W:\W\System32\drivers\x.sys`,
		`system32\drivers\x.sys`: `W:\W\system32\drivers\x.sys`, `%SystemRoot%\x.sys`: `W:\W\x.sys`, `\\?\C:\x.sys`: `C:\x.sys`, "": "",
	} {
		if got := fileOf(image, `W:\W`); got != want {
			t.Errorf("%s: %s, want %s", image, got, want)
		}
	}
}

// Who has handles open is told by the driver, with the filter in words.
func TestHandles(t *testing.T) {
	d := simdrv.New(simdrv.Config{})
	for _, o := range []divertdrv.Options{{Priority: 7}, {Priority: -3, Flags: divertdrv.Sniff}} {
		o.Driver = d
		h, err := divertdrv.Open("tcp.DstPort == 80", divertdrv.Network, &o)
		if err != nil {
			t.Fatal(err)
		}
		defer h.Close()
	}
	users, err := Handles(d, clock.System, 200*time.Millisecond, func(uint32) string { return "me.exe" })
	if err != nil || len(users) != 2 {
		t.Fatalf("%+v, %v", users, err)
	}
	if u := users[1]; u.Priority != -3 || u.Process != "me.exe" || u.Filter != "tcp.DstPort = 80" || u.Layer != "network" || u.Flags != divertdrv.Sniff.String() {
		t.Errorf("%+v", u)
	}
	if got := names(append(users, User{ProcessID: 99})); strings.Count(got, "pid") != 2 || !strings.Contains(got, "process (pid 99)") {
		t.Error(got)
	}
}

package driverlife

import (
	"strings"
	"testing"

	"golang.org/x/sys/windows"
)

// only hides every service but one of the test's own.
type only struct {
	Manager
	name string
}

func (o only) Entries() (mine []Entry, err error) {
	all, err := o.Manager.Entries()
	for _, e := range all {
		if strings.EqualFold(e.Name, o.name) {
			mine = append(mine, e)
		}
	}
	return mine, err
}

// The real service manager, or Wine's: a service whose file is not there is made, seen, refused by the system, explained and cleaned
// away.
func TestLocal(t *testing.T) {
	s, err := Local()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Manager.Close()
	if _, err := s.Status(); err != nil {
		t.Fatal(err)
	}
	if !windows.GetCurrentProcessToken().IsElevated() {
		t.Skip("not an administrator")
	}
	const name, file = "WinDivertOfATest", `C:\no such folder\x.sys`
	s.Manager = only{s.Manager, name}
	defer func() { _ = s.Manager.Delete(name) }() // if it is still there
	if err := s.Manager.Create(name, file); err != nil {
		t.Fatal(err)
	}
	if err := s.Manager.Create(name, file); err == nil || !strings.Contains(explained("create", err).Error(), "error 1073") {
		t.Errorf("created twice: %v", err)
	}
	if err := s.Manager.Enable(name); err != nil {
		t.Error(err)
	}
	if err := s.Manager.Start(name); err == nil {
		t.Error("it started without a file")
	}
	st, err := s.Status()
	if err != nil || len(st.Entries) != 1 || st.Entries[0].State != Stopped || st.Entries[0].File != file || len(st.Entries[0].Faults) != 1 {
		t.Fatalf("%+v, %v", st, err)
	}
	if f := st.Entries[0].Faults[0]; f.Mend != Remove || f.Error != errPathNotFound && f.Error != errFileNotFound {
		t.Errorf("%+v", f)
	}
	if done, err := s.Clean(); err != nil || !strings.Contains(did(done), "removed") {
		t.Errorf("%v, %v", done, err)
	}
	if st, err := s.Status(); err != nil || len(st.Entries) != 0 {
		t.Errorf("%+v, %v", st, err)
	}
	for what, f := range map[string]func(string) error{"start": s.Manager.Start, "stop": s.Manager.Stop, "delete": s.Manager.Delete, "enable": s.Manager.Enable} {
		if err := f(name); err == nil || !strings.Contains(explained(what, err).Error(), "error 1060") {
			t.Errorf("%s what is gone: %v", what, err)
		}
	}
}

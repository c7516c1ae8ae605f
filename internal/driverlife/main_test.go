package driverlife

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is a service manager with a kernel behind it, as far as a driver is concerned.
type fake struct {
	entries []Entry
	handles int              // open ones: the driver stays until they are closed
	waits   int              // after so many, they are
	fails   map[string]error // by call
	files   map[string]string
	calls   []string
}

const (
	good = "good"
	bad  = "bad"
)

func (f *fake) call(name, entry string) (*Entry, error) {
	f.calls = append(f.calls, name+" "+entry)
	if err := f.fails[name]; err != nil {
		return nil, err
	}
	for i := range f.entries {
		if strings.EqualFold(f.entries[i].Name, entry) {
			return &f.entries[i], nil
		}
	}
	return nil, errNoService
}

// settle is what Windows does by itself: a driver that is to stop goes with its last handle, and a deleted entry when it has stopped.
func (f *fake) settle() {
	for i := range f.entries {
		if f.entries[i].State == Stopping && f.handles == 0 {
			f.entries[i].State = Stopped
		}
	}
	f.entries = slices.DeleteFunc(f.entries, func(e Entry) bool { return e.Deleted && e.State == Stopped && f.handles == 0 })
}

func (f *fake) Entries() ([]Entry, error) {
	if err := f.fails["entries"]; err != nil {
		return nil, err
	}
	f.settle()
	return slices.Clone(f.entries), nil
}

func (f *fake) Create(name, file string) error {
	if e, err := f.call("create", name); e != nil {
		if e.Deleted {
			return errMarked
		}
		return errExists
	} else if !errors.Is(err, errNoService) {
		return err
	}
	f.entries = append(f.entries, Entry{Name: name, State: Stopped, Image: `\??\` + file, File: file})
	return nil
}

func (f *fake) Enable(name string) error {
	e, err := f.call("enable", name)
	if err == nil {
		e.Disabled = false
	}
	return err
}

func (f *fake) Start(name string) error {
	e, err := f.call("start", name)
	switch {
	case err != nil:
		return err
	case e.State == Running:
		return errInUse
	case e.Deleted:
		return errMarked
	case e.Disabled:
		return errDisabled
	case f.files[e.File] == "":
		return errFileNotFound
	case f.files[e.File] == bad:
		return errSignature
	}
	e.State = Running
	return nil
}

func (f *fake) Stop(name string) error {
	e, err := f.call("stop", name)
	switch {
	case err != nil:
		return err
	case e.State == Stopped:
		return errNotActive
	}
	e.State = Stopping
	return nil
}

func (f *fake) Delete(name string) error {
	e, err := f.call("delete", name)
	switch {
	case err != nil:
		return err
	case e.Deleted:
		return errMarked
	}
	e.Deleted = true
	return nil
}

func (f *fake) Close() error { return nil }

func (f *fake) system() *System {
	patience := 5
	return &System{
		Manager: f,
		Read: func(file string) ([]byte, error) {
			if f.files[file] == "" {
				n := errFileNotFound
				if strings.Contains(file, "gone") {
					n = errPathNotFound
				}
				return nil, &fs.PathError{Op: "open", Path: file, Err: n}
			}
			return []byte("....\xbd\x04\xef\xfe\x00\x00\x01\x00\x02\x00\x02\x00\x07\x00\x02\x00"), nil
		},
		Verify: func(file string) error {
			if f.files[file] == bad {
				return errors.New("it carries no signature")
			}
			return nil
		},
		Users: func() ([]User, error) {
			if err := f.fails["users"]; err != nil {
				return nil, err
			}
			return slices.Repeat([]User{{ProcessID: 7, Process: "goodbyedpi.exe"}}, f.handles), nil
		},
		Wait: func() bool {
			if f.waits--; f.waits == 0 {
				f.handles = 0
			}
			patience--
			return patience > 0
		},
	}
}

func did(done []Done) string {
	var list []string
	for _, d := range done {
		list = append(list, d.Did)
	}
	return strings.Join(list, "; ")
}

package driverlife

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"

	"github.com/weirnet/weir/internal/authenticode"
)

// Mend is what takes a fault away.
type Mend string

// The mends.
const (
	None   Mend = ""
	Enable Mend = "enable" // the start type
	Remove Mend = "remove" // stop it, and delete the entry
)

// Fault is something wrong with an entry: which error a program gets that opens a handle, why, and what mends it.
type Fault struct {
	Error  Errno  `json:"error"`
	Detail string `json:"detail"`
	Mend   Mend   `json:"mend,omitempty"`
	Remedy string `json:"remedy"`
}

// Look is what is known of an entry.
type Look struct {
	Entry
	Version   string  `json:"version,omitempty"` // of the file
	Signature string  `json:"signature"`         // "good", or what is wrong; empty: there is no file
	Faults    []Fault `json:"faults"`
}

// Status is what is known of the driver.
type Status struct {
	Entries  []Look `json:"entries"`
	Users    []User `json:"users"`
	UsersErr string `json:"users_unknown,omitempty"` // why Users is not known
}

// System is what the commands work on. All fields but Users must be set; Local sets them.
type System struct {
	Manager Manager
	Read    func(file string) ([]byte, error) // a driver file
	Verify  func(file string) error           // its signature
	Users   func() ([]User, error)            // open handles; nil: not asked
	Wait    func() bool                       // a while for a state to change; false: long enough
}

// Status looks at all entries.
func (s *System) Status() (*Status, error) {
	entries, err := s.Manager.Entries()
	if err != nil {
		return nil, explained("look at services", err)
	}
	st := &Status{Entries: []Look{}, Users: []User{}}
	for _, e := range entries {
		st.Entries = append(st.Entries, s.look(e))
	}
	if s.Users != nil && slices.ContainsFunc(entries, Entry.loaded) {
		users, err := s.Users()
		if err != nil {
			st.UsersErr = err.Error()
		}
		st.Users = append(st.Users, users...)
	}
	return st, nil
}

func (s *System) look(e Entry) Look {
	l := Look{Entry: e}
	b, err := s.Read(e.File)
	var sig error
	if err == nil {
		l.Version = versionOf(b)
		if sig = s.Verify(e.File); sig != nil {
			l.Signature = sig.Error()
		} else {
			l.Signature = "good"
		}
	}
	l.Faults = diagnose(e, err, sig)
	return l
}

// diagnose says what is wrong with an entry, whose file could not be read for a reason and whose signature is bad for another.
func diagnose(e Entry, file, signature error) []Fault {
	faults := []Fault{}
	add := func(n Errno, m Mend, remedy, format string, args ...any) {
		faults = append(faults, Fault{n, fmt.Sprintf(format, args...), m, remedy})
	}
	running := e.loaded()
	switch {
	case e.Deleted && running && e.State != Stopping:
		// WinDivert's DLL leaves it so on purpose: it is no fault, and the entry goes with the driver.
	case e.Deleted || e.State == Stopping:
		add(errMarked, Remove, restartRemedy, "it is %s and to be deleted, but somebody holds it open: neither can it start again nor another be created", e.State)
	}
	switch {
	case file == nil && signature != nil && !errors.Is(signature, fs.ErrNotExist):
		// Not ours to take away: the kernel has rules of its own, and may have accepted what is loaded.
		add(errSignature, None, "put the real WinDivert64.sys there; 'weir driver verify "+e.File+"' shows its signers", "%v", signature)
	case file != nil && errors.Is(file, fs.ErrNotExist):
		n := errFileNotFound
		if running {
			add(n, None, "it runs from memory until it is stopped, then 'weir driver clean'", "its file %s is gone", e.File)
			break
		}
		if e, ok := numberOf(file); ok && e == errPathNotFound {
			n = e
		}
		add(n, Remove, cleanRemedy, "its file %s is gone, so it cannot start", e.File)
	case file != nil:
		add(errAccess, None, "run as administrator", "its file cannot be read: %v", file)
	}
	if e.Disabled && !running {
		add(errDisabled, Enable, cleanRemedy, "it is disabled")
	}
	return faults
}

// Verify is what System.Verify is by default.
func Verify(file string) error {
	_, err := authenticode.File(file, authenticode.Options{})
	if inner := errors.Unwrap(err); inner != nil { // without the path, which is told beside it
		return inner
	}
	return err
}

// Read is what System.Read is by default.
func Read(file string) ([]byte, error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxDriver {
		return nil, fmt.Errorf("%s has %d bytes, no driver has so many", file, info.Size())
	}
	return os.ReadFile(file)
}

const maxDriver = 64 << 20

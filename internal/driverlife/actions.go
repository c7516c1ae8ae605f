package driverlife

import (
	"errors"
	"fmt"
	"path"
	"strings"
)

// Done tells a step that was taken.
type Done struct {
	Entry string `json:"entry"`
	Did   string `json:"did"`
}

// work is a run of steps.
type work struct {
	*System
	done []Done
}

func (w *work) tell(name, format string, args ...any) {
	w.done = append(w.done, Done{name, fmt.Sprintf(format, args...)})
}

// ErrInUse: somebody has handles open, whose traffic would go on without them.
var ErrInUse = errors.New("the driver is in use")

// Install makes the service for a driver file and starts it. A file whose signature does not hold is refused unless force is set;
// the kernel may refuse it all the same. An entry that is there and whole is kept if it is of the same file.
func (s *System) Install(file string, force bool) ([]Done, error) {
	w := &work{System: s}
	if _, err := s.Read(file); err != nil {
		return nil, err
	}
	if err := s.Verify(file); err != nil {
		if !force {
			return nil, fmt.Errorf("%s: %w; it is not installed; --force installs it all the same", file, err)
		}
		w.tell(Name, "its signature does not hold (%v), and it is installed all the same", err)
	}
	e, err := s.entry(Name)
	if err != nil {
		return w.done, err
	}
	if e != nil {
		if err := w.replace(s.look(*e), file); err != nil {
			return w.done, err
		}
		if e, err = s.entry(Name); err != nil {
			return w.done, err
		}
	}
	if e == nil {
		if err := s.Manager.Create(Name, file); err != nil {
			return w.done, explained("create the service", err)
		}
		w.tell(Name, "created for %s", file)
	}
	err = w.start()
	return w.done, err
}

// replace makes room for a file, or finds that the entry is its own already.
func (w *work) replace(l Look, file string) error {
	stale := false
	for _, f := range l.Faults {
		stale = stale || f.Mend == Remove
	}
	switch {
	case stale:
		return w.remove(l.Entry)
	case !samePath(l.File, file):
		return fmt.Errorf("the service is there for another file, %s: %w; mend it: %s", l.File, errExists, advice[errExists].Remedy)
	case l.Disabled:
		return w.enable(l.Name)
	}
	return nil
}

func (w *work) start() error {
	err := w.Manager.Start(Name)
	if n, ok := numberOf(err); ok && n == errInUse {
		w.tell(Name, "it runs already")
		return nil
	}
	if err != nil {
		return explained("start the driver", err)
	}
	w.tell(Name, "started")
	return nil
}

func (w *work) enable(name string) error {
	if err := w.Manager.Enable(name); err != nil {
		return explained("enable "+name, err)
	}
	w.tell(name, "enabled: it starts on demand")
	return nil
}

// Uninstall stops the driver and takes its entry away. While handles are open it is refused unless force is set; then it goes when
// the last of them is closed.
func (s *System) Uninstall(force bool) ([]Done, error) {
	w := &work{System: s}
	e, err := s.entry(Name)
	if err != nil {
		return nil, err
	}
	if e == nil {
		w.tell(Name, "it is not installed")
		return w.done, nil
	}
	if e.loaded() && s.Users != nil && !force {
		users, err := s.Users()
		if err != nil {
			return nil, fmt.Errorf("who uses it cannot be told: %w; --force stops it all the same", err)
		}
		if len(users) > 0 {
			return nil, fmt.Errorf("%w by %s; close them first, or use --force", ErrInUse, names(users))
		}
	}
	err = w.remove(*e)
	return w.done, err
}

// Clean mends what can be mended of every entry, and leaves alone those without a fault.
func (s *System) Clean() ([]Done, error) {
	entries, err := s.Manager.Entries()
	if err != nil {
		return nil, explained("look at services", err)
	}
	w := &work{System: s}
	var errs []error
	for _, e := range entries {
		errs = append(errs, w.mend(s.look(e)))
	}
	return w.done, errors.Join(errs...)
}

// mend takes away the faults of one entry: its removal takes them all.
func (w *work) mend(l Look) error {
	var enable bool
	var left []error
	for _, f := range l.Faults {
		switch f.Mend {
		case Remove:
			w.tell(l.Name, "%s", f.Detail)
			return w.remove(l.Entry)
		case Enable:
			enable = true
		case None:
			left = append(left, fmt.Errorf("%s: %s; mend it: %s", l.Name, f.Detail, f.Remedy))
		}
	}
	if enable {
		left = append(left, w.enable(l.Name))
	}
	return errors.Join(left...)
}

// remove stops a service and takes its entry away, and waits until that is so.
func (w *work) remove(e Entry) error {
	if e.State == Running || e.State == Starting {
		err := w.Manager.Stop(e.Name)
		if n, _ := numberOf(err); err != nil && n != errNotActive && n != errNoService {
			return explained("stop "+e.Name, err)
		}
		w.tell(e.Name, "told to stop")
	}
	if !e.Deleted {
		err := w.Manager.Delete(e.Name)
		if n, _ := numberOf(err); err != nil && n != errMarked && n != errNoService {
			return explained("delete "+e.Name, err)
		}
	}
	for {
		now, err := w.entry(e.Name)
		if err != nil {
			return err
		}
		if now == nil {
			w.tell(e.Name, "removed")
			return nil
		}
		if !w.Wait() {
			return fmt.Errorf("%s is still %s: %w; mend it: %s", e.Name, now.State, errMarked, restartRemedy)
		}
	}
}

// entry finds a service by name; nil: there is none.
func (s *System) entry(name string) (*Entry, error) {
	entries, err := s.Manager.Entries()
	if err != nil {
		return nil, explained("look at services", err)
	}
	for i := range entries {
		if strings.EqualFold(entries[i].Name, name) {
			return &entries[i], nil
		}
	}
	return nil, nil
}

// samePath compares paths as Windows does, whatever system this is.
func samePath(a, b string) bool {
	clean := func(s string) string { return path.Clean(strings.ToLower(strings.ReplaceAll(s, `\`, "/"))) }
	return clean(a) == clean(b)
}

package daemon

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/weirnet/weir/processor"
)

// starter is a callout that needs something outside of memory, such as a file: it is started before packets come, and closed when
// they have ended.
type starter interface {
	processor.Callout
	Start() error
	io.Closer
}

// startCallouts starts those that need it. The error names the callout.
func (s *Session) startCallouts() error {
	if s.plan.Policy == nil {
		return nil
	}
	files := map[string]string{}
	claim(files, s.plan.Driver.In, "the driver reads")
	claim(files, s.plan.Driver.Out, "the driver writes")
	for _, c := range s.plan.Policy.Callouts() {
		st, ok := c.(starter)
		if !ok {
			continue
		}
		if f, ok := c.(interface{ Path() string }); ok {
			if who := claim(files, f.Path(), fmt.Sprintf("callout %q writes", c.Name())); who != "" {
				return fmt.Errorf("callout %q would write %s, which %s; give it a file of its own", c.Name(), f.Path(), who)
			}
		}
		if err := st.Start(); err != nil {
			return err
		}
		s.started = append(s.started, st)
	}
	return nil
}

// claim notes who uses a file; it returns who did before.
func claim(files map[string]string, path, who string) string {
	if path == "" || path == "-" {
		return ""
	}
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	key := strings.ToLower(path) // some file systems take them for the same; that two names differ in case only is not worth a file
	before := files[key]
	if before == "" {
		files[key] = who
	}
	return before
}

// closeCallouts closes those that were started.
func (s *Session) closeCallouts() error {
	var errs []error
	for _, c := range s.started {
		errs = append(errs, c.Close())
	}
	s.started = nil
	return errors.Join(errs...)
}

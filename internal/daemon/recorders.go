package daemon

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/weirnet/weir/processor"
)

// starter is a callout that needs something outside of memory, such as a file: it is started before packets come, and closed when
// they have ended, or when a reload made it go.
type starter interface {
	processor.Callout
	Start() error
	io.Closer
}

// startCallouts starts those of a plan that need it and are not started yet. It returns all that are started then, also those that
// the plan does not name; after an error, those that were before. The error names the callout.
func (s *Session) startCallouts(plan *Plan) (all []starter, err error) {
	all = s.started
	if plan.Policy == nil {
		return all, nil
	}
	files := map[string]string{}
	claim(files, plan.Driver.In, "the driver reads")
	claim(files, plan.Driver.Out, "the driver writes")
	for _, st := range s.started {
		claim(files, pathOf(st), fmt.Sprintf("callout %q writes", st.Name()))
	}
	for _, c := range plan.Policy.Callouts() {
		st, ok := c.(starter)
		if !ok || slices.Contains(s.started, st) {
			continue
		}
		if who := claim(files, pathOf(st), fmt.Sprintf("callout %q writes", c.Name())); who != "" {
			err = fmt.Errorf("callout %q would write %s, which %s; give it a file of its own", c.Name(), pathOf(st), who)
		} else {
			s.tellBroken(st)
			err = st.Start()
		}
		if err != nil {
			return s.started, errors.Join(err, closeAll(all[len(s.started):]))
		}
		all = append(slices.Clip(all), st)
	}
	return all, nil
}

// tellBroken has the log tell at once when a callout cannot write any more: its end may be months away.
func (s *Session) tellBroken(c starter) {
	if b, ok := c.(interface{ OnBroken(tell func(error)) }); ok {
		b.OnBroken(func(err error) { s.log.tell(evOutputBroke, zap.String(keyError, oneLine(err))) })
	}
}

func pathOf(c starter) string {
	if f, ok := c.(interface{ Path() string }); ok {
		return f.Path()
	}
	return ""
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

func closeAll(all []starter) error {
	var errs []error
	for _, c := range all {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

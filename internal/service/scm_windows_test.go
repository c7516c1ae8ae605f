package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"
)

// asService has this program be the service that TestManager installs, when the manager of services has started it.
func asService() {
	if len(os.Args) < 2 || os.Args[1] != "run" {
		return
	}
	os.Exit(Serve(context.Background(), func(ctx context.Context, log io.Writer) int {
		if log == nil {
			return 3 // the manager did not start it
		}
		_, _ = fmt.Fprintln(log, "runs", os.Args[2])
		<-ctx.Done()
		_, _ = fmt.Fprintln(log, "ends")
		return 0
	}))
}

// The manager of Windows' services itself: what is installed starts, says that it runs, is stopped, and is gone.
func TestManager(t *testing.T) {
	if os.Getenv("WEIR_SERVICE") == "" {
		t.Skip("installs a service, on Windows, as administrator: set WEIR_SERVICE=1; Wine's manager is not up to it")
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	m, err := New("")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	state := func(want string) (s Status) {
		t.Helper()
		if s, err = m.Status(ctx); err != nil || s.State != want {
			t.Errorf("%+v, %v; want %s", s, err, want)
		}
		return s
	}
	state(Absent)
	if err := m.Start(ctx); !errors.Is(err, ErrNotInstalled) {
		t.Errorf("start of what is not installed: %v", err)
	}
	_ = os.Remove(LogFile())
	s := Spec{Program: program, Policy: `C:\weir\a policy.yaml`}
	if err := m.Install(ctx, s); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := m.Uninstall(ctx); err != nil {
			t.Errorf("uninstall: %v", err)
		}
		state(Absent)
	}()
	state(Stopped)
	if err := errors.Join(m.Install(ctx, s), m.Start(ctx)); err != nil { // again, over what is there
		t.Fatal(err)
	}
	if st := state(Running); st.PID == 0 || !st.Boot || !strings.HasSuffix(st.Command, `run "C:\weir\a policy.yaml"`) {
		t.Errorf("%+v", st)
	}
	if err := m.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	state(Stopped)
	if log, err := os.ReadFile(LogFile()); err != nil || string(log) != "runs C:\\weir\\a policy.yaml\nends\n" {
		t.Errorf("its log: %q, %v", log, err)
	}
}

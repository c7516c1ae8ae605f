package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/mgr"
)

// HasStateDirectory: the service has /var/lib/weir for itself.
const HasStateDirectory = false

// What the service control manager of Windows is told.
const (
	scmDisplay     = "Weir packet processor"
	scmDescription = "Diverts packets, classifies them by a policy, and puts them back."
	scmRestarts    = 3                // in a row; the manager's own bound of its list
	scmDelay       = time.Second      // before a restart
	scmForget      = time.Minute      // without a failure, and restarts are counted anew
	stopWait       = 30 * time.Second // as TimeoutStopSec of the unit
	startWait      = 30 * time.Second
)

// arguments are the words behind the program.
func (s *Spec) arguments() []string { return append([]string{"run", s.Policy}, s.Args...) }

// logMax bounds one of the two files of a log, in bytes.
const logMax = 10 << 20

// New returns the manager of this system. A root other than the one that runs is no place for a service here.
func New(root string) (Manager, error) {
	if root != "" && root != "/" {
		return nil, errors.New("--root is for systemd; a service of Windows belongs to the system that runs")
	}
	return scm{}, nil
}

// scm is the service control manager.
type scm struct{}

// Describe implements Manager.
func (scm) Describe(s Spec) (string, error) {
	if err := s.check(filepath.IsAbs); err != nil {
		return "", err
	}
	words := []string{windows.EscapeArg(s.Program)}
	for _, a := range s.arguments() {
		words = append(words, windows.EscapeArg(a))
	}
	return fmt.Sprintf("service %s (%s), starts with the system, runs\n%s\n", Name, scmDisplay, strings.Join(words, " ")), nil
}

// Install implements Manager.
func (m scm) Install(_ context.Context, s Spec) error {
	if err := s.check(filepath.IsAbs); err != nil {
		return err
	}
	return m.with(func(c *mgr.Mgr) error {
		if err := logFolder(); err != nil {
			return err
		}
		if old, err := c.OpenService(Name); err == nil {
			defer old.Close()
			return m.renew(old, s)
		}
		made, err := c.CreateService(Name, s.Program, mgr.Config{
			StartType: mgr.StartAutomatic, ErrorControl: mgr.ErrorNormal, DisplayName: scmDisplay, Description: scmDescription,
		}, s.arguments()...)
		if err != nil {
			return err
		}
		defer made.Close()
		return recovery(made)
	})
}

// renew writes the command of a service that is there, if it is ours.
func (m scm) renew(old *mgr.Service, s Spec) error {
	c, err := old.Config()
	if err != nil {
		return err
	}
	if c.DisplayName != scmDisplay {
		return fmt.Errorf("service %s: %w", Name, ErrForeign)
	}
	words := []string{windows.EscapeArg(s.Program)}
	for _, a := range s.arguments() {
		words = append(words, windows.EscapeArg(a))
	}
	c.BinaryPathName, c.StartType = strings.Join(words, " "), mgr.StartAutomatic
	return errors.Join(old.UpdateConfig(c), recovery(old))
}

// recovery has the manager start the service again when it fails.
func recovery(s *mgr.Service) error {
	var actions []mgr.RecoveryAction
	for range scmRestarts {
		actions = append(actions, mgr.RecoveryAction{Type: mgr.ServiceRestart, Delay: scmDelay})
	}
	return s.SetRecoveryActions(actions, uint32(scmForget.Seconds()))
}

// with connects to the manager.
func (scm) with(do func(*mgr.Mgr) error) error {
	c, err := mgr.Connect()
	if errors.Is(err, windows.ERROR_ACCESS_DENIED) {
		return fmt.Errorf("%w; run as administrator", err)
	}
	if err != nil {
		return err
	}
	return errors.Join(do(c), c.Disconnect())
}

// open opens the service.
func (m scm) open(do func(*mgr.Service) error) error {
	return m.with(func(c *mgr.Mgr) error {
		s, err := c.OpenService(Name)
		if errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST) {
			return ErrNotInstalled
		}
		if err != nil {
			return err
		}
		return errors.Join(do(s), s.Close())
	})
}

// Uninstall implements Manager.
func (m scm) Uninstall(ctx context.Context) error {
	if err := m.Stop(ctx); err != nil {
		return err
	}
	return m.open(func(s *mgr.Service) error {
		c, err := s.Config()
		if err == nil && c.DisplayName != scmDisplay {
			err = fmt.Errorf("service %s: %w", Name, ErrForeign)
		}
		if err != nil {
			return err
		}
		return s.Delete()
	})
}

// Start implements Manager.
func (m scm) Start(ctx context.Context) error {
	return m.open(func(s *mgr.Service) error {
		if err := s.Start(); err != nil && !errors.Is(err, windows.ERROR_SERVICE_ALREADY_RUNNING) {
			return err
		}
		return await(ctx, s, svc.Running, startWait)
	})
}

// Stop implements Manager.
func (m scm) Stop(ctx context.Context) error {
	return m.open(func(s *mgr.Service) error {
		if _, err := s.Control(svc.Stop); err != nil && !errors.Is(err, windows.ERROR_SERVICE_NOT_ACTIVE) {
			return err
		}
		return await(ctx, s, svc.Stopped, stopWait)
	})
}

// await waits for a state.
func await(ctx context.Context, s *mgr.Service, want svc.State, most time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	for {
		q, err := s.Query()
		switch {
		case err != nil || q.State == want:
			return err
		case want == svc.Running && q.State == svc.Stopped:
			return fmt.Errorf("it ended at once, with status %d; its log is %s", q.ServiceSpecificExitCode, LogFile())
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("it is %s still: %w", scmStates[uint32(q.State)], ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// Status implements Manager.
func (m scm) Status(context.Context) (st Status, err error) {
	err = m.open(func(s *mgr.Service) error {
		q, err := s.Query()
		if err != nil {
			return err
		}
		c, err := s.Config()
		if err != nil {
			return err
		}
		st = Status{
			State: scmState(uint32(q.State), max(q.Win32ExitCode, q.ServiceSpecificExitCode)), Boot: c.StartType == mgr.StartAutomatic,
			PID: int(q.ProcessId), Where: `HKLM\SYSTEM\CurrentControlSet\Services\` + Name, Command: c.BinaryPathName,
		}
		if st.State == Failed {
			st.Text = fmt.Sprintf("exit status %d; its log is %s", q.ServiceSpecificExitCode, LogFile())
		}
		return nil
	})
	if errors.Is(err, ErrNotInstalled) {
		return Status{State: Absent}, nil
	}
	return st, err
}

// LogFile is where a service writes what it would print.
func LogFile() string {
	return filepath.Join(os.Getenv("ProgramData"), "Weir", "weir.log")
}

// Serve runs the program, below the manager if that started it: then stop and shutdown of the system end ctx, and what it would
// print goes to LogFile.
func Serve(ctx context.Context, run func(context.Context, io.Writer) int) int {
	if is, err := svc.IsWindowsService(); err != nil || !is {
		return run(ctx, nil)
	}
	log, err := openRolling(LogFile(), logMax)
	if err != nil {
		return 1
	}
	h := &handler{ctx: ctx, run: func(ctx context.Context) int { return run(ctx, log) }}
	if err := errors.Join(svc.Run(Name, h), log.Close()); err != nil {
		return 1
	}
	return h.status
}

// logFolder makes the folder of LogFile, where anybody may make one, so that only the system and administrators can write there.
func logFolder() error {
	dir := filepath.Dir(LogFile())
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	sd, err := windows.SecurityDescriptorFromString("O:BAD:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)")
	if err != nil {
		return err
	}
	owner, _, err := sd.Owner()
	if err != nil {
		return err
	}
	acl, _, err := sd.DACL()
	if err != nil {
		return err
	}
	return windows.SetNamedSecurityInfo(dir, windows.SE_FILE_OBJECT,
		windows.OWNER_SECURITY_INFORMATION|windows.DACL_SECURITY_INFORMATION|windows.PROTECTED_DACL_SECURITY_INFORMATION, owner, nil, acl, nil)
}

// handler speaks with the manager.
type handler struct {
	ctx    context.Context
	run    func(context.Context) int
	status int
}

// Execute implements svc.Handler.
func (h *handler) Execute(_ []string, requests <-chan svc.ChangeRequest, changes chan<- svc.Status) (bool, uint32) {
	stop, ended := make(chan struct{}), make(chan struct{})
	defer close(ended)
	go func() {
		asked := false
		for {
			select {
			case <-ended:
				return
			case r := <-requests:
				switch r.Cmd {
				case svc.Interrogate:
					changes <- r.CurrentStatus
				case svc.Stop, svc.Shutdown:
					if !asked {
						close(stop)
					}
					asked = true
				}
			}
		}
	}()
	h.status = serve(h.ctx, stop, func(state string) { changes <- scmReports[state] }, h.run)
	return h.status != 0, uint32(h.status)
}

// scmReports are what the manager is told.
var scmReports = map[string]svc.Status{
	Starting: {State: svc.StartPending, WaitHint: uint32(startWait.Milliseconds())},
	Running:  {State: svc.Running, Accepts: svc.AcceptStop | svc.AcceptShutdown},
	Stopping: {State: svc.StopPending, WaitHint: uint32(stopWait.Milliseconds())},
}

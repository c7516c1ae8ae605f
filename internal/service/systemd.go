package service

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// systemd is the manager of most Linux systems. Of a system that does not run, below its root, it writes files only.
type systemd struct {
	root string
	live bool                                                      // it is the system that runs
	ctl  func(ctx context.Context, args ...string) (string, error) // runs systemctl
}

// unitFile is the name of the unit, and where it is.
const (
	unitFile = Name + ".service"
	unitDir  = "etc/systemd/system"
)

func newSystemd(root string) *systemd {
	root = filepath.Join("/", root)
	return &systemd{root: root, live: root == "/", ctl: systemctl}
}

// systemctlPaths: by absolute path, since whoever runs this is privileged.
var systemctlPaths = []string{"/usr/bin/systemctl", "/bin/systemctl"}

// systemctl runs it and returns what it printed. The error is what it complained of.
func systemctl(ctx context.Context, args ...string) (string, error) {
	for _, path := range systemctlPaths {
		if _, err := os.Stat(path); err != nil {
			continue
		}
		cmd := exec.CommandContext(ctx, path, args...)
		cmd.Env = []string{"LC_ALL=C", "SYSTEMD_COLORS=0", "SYSTEMD_PAGER="}
		var out, complaints bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &complaints
		err := cmd.Run()
		if said := strings.TrimSpace(complaints.String()); err != nil && said != "" {
			err = fmt.Errorf("systemctl %s: %s", args[0], said)
		}
		return out.String(), err
	}
	return "", fmt.Errorf("there is no %s: %w", systemctlPaths[0], ErrUnsupported)
}

func (m *systemd) unit() string { return filepath.Join(m.root, unitDir, unitFile) }

// Describe implements Manager.
func (m *systemd) Describe(s Spec) (string, error) { return Unit(s) }

// Install implements Manager.
func (m *systemd) Install(ctx context.Context, s Spec) error {
	text, err := Unit(s)
	if err != nil {
		return err
	}
	if _, err := m.installed(); err != nil && !errors.Is(err, ErrNotInstalled) {
		return err
	}
	if err := replaceFile(m.unit(), text); err != nil {
		return err
	}
	if !m.live {
		_, err = m.ctl(ctx, "--root="+m.root, "enable", unitFile)
		return err
	}
	if _, err := m.ctl(ctx, "daemon-reload"); err != nil {
		return err
	}
	_, err = m.ctl(ctx, "enable", unitFile)
	return err
}

// installed returns the unit's text, if it is one of ours.
func (m *systemd) installed() (string, error) {
	b, err := os.ReadFile(m.unit())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", ErrNotInstalled
	case err != nil:
		return "", err
	case !strings.HasPrefix(string(b), unitMark):
		return "", fmt.Errorf("%s: %w", m.unit(), ErrForeign)
	}
	return string(b), nil
}

// replaceFile writes a file whole or not at all.
func replaceFile(path, text string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".weir-*")
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// Uninstall implements Manager.
func (m *systemd) Uninstall(ctx context.Context) error {
	if _, err := m.installed(); err != nil {
		return err
	}
	disable := []string{"disable", "--now", unitFile}
	if !m.live {
		disable = []string{"--root=" + m.root, "disable", unitFile}
	}
	if _, err := m.ctl(ctx, disable...); err != nil {
		return err
	}
	if err := os.Remove(m.unit()); err != nil || !m.live {
		return err
	}
	_, err := m.ctl(ctx, "daemon-reload")
	return err
}

// Start implements Manager.
func (m *systemd) Start(ctx context.Context) error { return m.change(ctx, "start") }

// Stop implements Manager.
func (m *systemd) Stop(ctx context.Context) error { return m.change(ctx, "stop") }

func (m *systemd) change(ctx context.Context, verb string) error {
	if !m.live {
		return fmt.Errorf("the system below %s is not running, so nothing of it can %s", m.root, verb)
	}
	if _, err := m.installed(); err != nil {
		return err
	}
	_, err := m.ctl(ctx, verb, unitFile)
	return err
}

// properties of a unit that make a Status.
const properties = "LoadState,ActiveState,SubState,UnitFileState,MainPID,NRestarts,StatusText,Result,ExecMainStatus,FragmentPath"

// Status implements Manager.
func (m *systemd) Status(ctx context.Context) (Status, error) {
	text, err := m.installed()
	if errors.Is(err, ErrNotInstalled) {
		return Status{State: Absent}, nil
	}
	if err != nil {
		return Status{}, err
	}
	s := Status{State: Stopped, Where: m.unit(), Command: commandOf(text)}
	if !m.live {
		_, err := os.Lstat(filepath.Join(m.root, unitDir, "multi-user.target.wants", unitFile))
		s.Boot = err == nil
		return s, nil
	}
	out, err := m.ctl(ctx, "show", unitFile, "--property="+properties)
	if err != nil {
		return s, err
	}
	s.fill(parseProperties(out))
	return s, nil
}

func commandOf(unit string) string {
	_, rest, _ := strings.Cut(unit, "\nExecStart=")
	line, _, _ := strings.Cut(rest, "\n")
	return line
}

// parseProperties reads KEY=VALUE lines.
func parseProperties(text string) map[string]string {
	all := map[string]string{}
	for line := range strings.Lines(text) {
		if key, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), "="); ok {
			all[key] = value
		}
	}
	return all
}

// systemdStates are systemd's words for ours.
var systemdStates = map[string]string{
	"active": Running, "reloading": Running, "activating": Starting, "deactivating": Stopping, "failed": Failed, "inactive": Stopped,
}

// fill takes what systemd says of the unit.
func (s *Status) fill(p map[string]string) {
	if state := systemdStates[p["ActiveState"]]; state != "" {
		s.State = state
	}
	s.Boot = strings.HasPrefix(p["UnitFileState"], "enabled")
	s.PID, _ = strconv.Atoi(p["MainPID"])
	s.Restart, _ = strconv.Atoi(p["NRestarts"])
	s.Text = p["StatusText"]
	if s.State == Failed {
		s.Text = fmt.Sprintf("%s, exit status %s; journalctl -u %s says more", p["Result"], p["ExecMainStatus"], Name)
	}
}

package service

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	asService()
	goleak.VerifyTestMain(m)
}

var spec = Spec{Program: "/usr/local/bin/weir", Policy: "/etc/weir/policy.yaml", Args: []string{"--allow-write", "/var/lib/weir"}}

// The unit of the defaults is in the repository, to be read and to be packaged.
func TestUnit(t *testing.T) {
	got, err := Unit(spec)
	if err != nil {
		t.Fatal(err)
	}
	const path = "../../deploy/weir.service"
	want, err := os.ReadFile(path)
	if err != nil || strings.ReplaceAll(string(want), "\r\n", "\n") != got {
		t.Errorf("%s is not what install writes; go generate ./internal/service: %v", path, err)
	}
	minimal := spec
	minimal.Minimal = true
	if got, err = Unit(minimal); err != nil || strings.Contains(got, "CAP_SYS_ADMIN") || !strings.Contains(got, "CAP_BPF") {
		t.Errorf("%v\n%s", err, got)
	}
}

// systemd itself finds nothing wrong with it, and calls it as closed as one that diverts packets can be.
func TestUnitByAnalyze(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("systemd-analyze judges the unit: %v; install Debian's package systemd", err)
		}
		t.Skipf("systemd-analyze judges the unit: %v", err)
	}
	s := spec
	s.Program = "/bin/true" // which is there, other than weir
	text, err := Unit(s)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), unitFile)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(analyze, "verify", "--man=no", path).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("verify: %v\n%s", err, out)
	}
	out, err := exec.Command(analyze, "security", "--offline=true", "--threshold=35", "--no-pager", path).CombinedOutput()
	if err != nil {
		t.Errorf("security: %v\n%s", err, out)
	}
}

func TestUnitRefuses(t *testing.T) {
	for want, s := range map[string]Spec{
		"needs an absolute one":           {Program: "weir", Policy: "/p.yaml"},
		`policy is "p.yaml"`:              {Program: "/weir", Policy: "p.yaml"},
		"cannot see what is below /home":  {Program: "/home/me/weir", Policy: "/etc/p.yaml"},
		"cannot see what is below /root":  {Program: "/usr/bin/weir", Policy: "/root/../root/p.yaml"},
		"cannot see what is below /tmp":   {Program: "/tmp/go-build1/weir", Policy: "/etc/p.yaml"},
		"has a control character in it":   {Program: "/weir", Policy: "/etc/p\nExecStartPre=/bin/sh.yaml"},
		"word of the command has a contr": {Program: "/weir", Policy: "/etc/p.yaml", Args: []string{"--log-level\x00"}},
	} {
		if text, err := Unit(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v\n%s", want, err, text)
		}
	}
}

// A word stands in the unit so that systemd gives it back, whatever is in it.
func TestQuoteWord(t *testing.T) {
	for word, want := range map[string]string{
		"run": "run", "": `""`, "a b": `"a b"`, `a"b`: `"a\"b"`, `a\b`: `"a\\b"`, "100%": "100%%", "$HOME": "$$HOME", "it's": `"it's"`, "a;b": `"a;b"`,
	} {
		if got, err := quoteWord(word); err != nil || got != want {
			t.Errorf("%q is written %s, want %s; %v", word, got, want, err)
		}
	}
}

// ctl is a systemctl that writes down what it is asked, and answers what the test says.
type ctl struct {
	asked  []string
	answer map[string]string // by first word
	fail   map[string]error
}

func (c *ctl) run(_ context.Context, args ...string) (string, error) {
	c.asked = append(c.asked, strings.Join(args, " "))
	return c.answer[args[0]], c.fail[args[0]]
}

// below is a manager of the running system, whose files are below a folder of the test.
func below(t *testing.T) (*systemd, *ctl, string) {
	c := &ctl{answer: map[string]string{}, fail: map[string]error{}}
	dir := t.TempDir()
	return &systemd{root: dir, ctl: c.run, live: true}, c, filepath.Join(dir, unitDir, unitFile)
}

// A service's life: each step asks systemd for what it should, and nothing is left behind.
func TestLife(t *testing.T) {
	m, c, unit := below(t)
	ctx := t.Context()
	if s, err := m.Status(ctx); err != nil || s.State != Absent {
		t.Errorf("%+v, %v", s, err)
	}
	for _, f := range []func(context.Context) error{m.Start, m.Stop, m.Uninstall} {
		if err := f(ctx); !errors.Is(err, ErrNotInstalled) {
			t.Errorf("error %v", err)
		}
	}
	if c.asked != nil {
		t.Errorf("asked %q", c.asked)
	}
	if err := errors.Join(m.Install(ctx, spec), m.Start(ctx), m.Install(ctx, spec), m.Stop(ctx)); err != nil {
		t.Fatal(err)
	}
	want, _ := m.Describe(spec)
	if got, err := os.ReadFile(unit); err != nil || string(got) != want {
		t.Errorf("%v, unit\n%s", err, got)
	}
	if info, err := os.Stat(unit); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("%v, %v", info, err)
	}
	c.answer["show"] = "LoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\nMainPID=17\nNRestarts=2\nStatusText=12 filters\n"
	s, err := m.Status(ctx)
	if want := (Status{State: Running, Boot: true, PID: 17, Restart: 2, Text: "12 filters", Where: unit, Command: "/usr/local/bin/weir run /etc/weir/policy.yaml --allow-write /var/lib/weir"}); err != nil || s != want {
		t.Errorf("%+v, %v", s, err)
	}
	c.answer["show"] = "ActiveState=failed\nResult=exit-code\nExecMainStatus=2\nMainPID=0\nUnitFileState=disabled\n"
	if s, err = m.Status(ctx); err != nil || s.State != Failed || s.Boot || s.Text != "exit-code, exit status 2; journalctl -u weir says more" {
		t.Errorf("%+v, %v", s, err)
	}
	if err := m.Uninstall(ctx); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(unit), "*")); len(left) > 0 {
		t.Errorf("left %q", left)
	}
	show := "show weir.service --property=" + properties
	if want := []string{
		"daemon-reload", "enable weir.service", "start weir.service", "daemon-reload", "enable weir.service", "stop weir.service", show, show,
		"disable --now weir.service", "daemon-reload",
	}; !reflect.DeepEqual(c.asked, want) {
		t.Errorf("asked %q", c.asked)
	}
}

// A unit of somebody else is left alone, by every verb.
func TestForeignUnit(t *testing.T) {
	m, c, unit := below(t)
	if err := errors.Join(os.MkdirAll(filepath.Dir(unit), 0o755), os.WriteFile(unit, []byte("[Unit]\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	_, status := m.Status(t.Context())
	for _, err := range []error{m.Install(t.Context(), spec), m.Uninstall(t.Context()), m.Start(t.Context()), status} {
		if !errors.Is(err, ErrForeign) || !strings.Contains(err.Error(), unit) {
			t.Errorf("error %v", err)
		}
	}
	if b, _ := os.ReadFile(unit); string(b) != "[Unit]\n" || c.asked != nil {
		t.Errorf("unit %q, asked %q", b, c.asked)
	}
}

// What systemd refuses is told; the unit is there then, to be looked at.
func TestSystemdRefuses(t *testing.T) {
	m, c, unit := below(t)
	c.fail["enable"] = errors.New("systemctl enable: no")
	if err := m.Install(t.Context(), spec); err == nil || err.Error() != "systemctl enable: no" {
		t.Errorf("error %v", err)
	}
	if _, err := os.Stat(unit); err != nil {
		t.Error(err)
	}
}

// Into the root of a system that is not running, as when an image is made: the true systemctl enables it there.
func TestInstallIntoRoot(t *testing.T) {
	if _, err := os.Stat(systemctlPaths[0]); err != nil {
		t.Skip(err)
	}
	root := t.TempDir()
	m := newSystemd(root)
	if err := m.Install(t.Context(), spec); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(root, unitDir, "multi-user.target.wants", unitFile)
	if target, err := os.Readlink(link); err != nil || target != "/"+unitDir+"/"+unitFile {
		t.Errorf("%s -> %s, %v", link, target, err)
	}
	s, err := m.Status(t.Context())
	if err != nil || s.State != Stopped || !s.Boot {
		t.Errorf("%+v, %v", s, err)
	}
	if err := m.Start(t.Context()); err == nil || !strings.Contains(err.Error(), "is not running, so nothing of it can start") {
		t.Errorf("error %v", err)
	}
	if err := m.Uninstall(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(link); err == nil {
		t.Error("the link is left")
	}
	if s, err := m.Status(t.Context()); err != nil || s.State != Absent {
		t.Errorf("%+v, %v", s, err)
	}
}

// A manager that asks for the end is told each state, and waits for the program.
func TestServe(t *testing.T) {
	stop := make(chan struct{})
	var told []string
	status := serve(t.Context(), stop, func(s string) { told = append(told, s) }, func(ctx context.Context) int {
		close(stop)
		<-ctx.Done()
		return 7
	})
	if want := []string{Starting, Running, Stopping}; status != 7 || !reflect.DeepEqual(told, want) {
		t.Errorf("status %d, told %q", status, told)
	}
	told = nil
	status = serve(t.Context(), make(chan struct{}), func(s string) { told = append(told, s) }, func(context.Context) int { return 2 })
	if want := []string{Starting, Running}; status != 2 || !reflect.DeepEqual(told, want) {
		t.Errorf("status %d, told %q", status, told)
	}
}

func TestScmState(t *testing.T) {
	for _, c := range []struct {
		number, exit uint32
		want         string
	}{{4, 0, Running}, {1, 0, Stopped}, {1, neverStarted, Stopped}, {1, 2, Failed}, {2, 0, Starting}, {3, 0, Stopping}, {99, 0, ""}} {
		if got := scmState(c.number, c.exit); got != c.want {
			t.Errorf("%d, %d: %s, want %s", c.number, c.exit, got, c.want)
		}
	}
}

// A log has two files at most, of a size; what is written goes on after a failure.
func TestRolling(t *testing.T) {
	path := filepath.Join(t.TempDir(), "weir.log")
	write := func(r *rolling, text string) {
		t.Helper()
		if n, err := r.Write([]byte(text)); n != len(text) || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	}
	r, err := openRolling(path, 10)
	if err != nil {
		t.Fatal(err)
	}
	write(r, "one\n")
	if err := r.Close(); err != nil {
		t.Error(err)
	}
	if r, err = openRolling(path, 10); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"two\n", "three\n", "four\n", "longer than ten\n"} {
		write(r, text)
	}
	write(r, "five\n")
	if err := errors.Join(r.Close(), r.Close()); err != nil {
		t.Error(err)
	}
	write(r, "six\n")
	r.Close()
	now, _ := os.ReadFile(path)
	before, _ := os.ReadFile(path + ".1")
	if string(now) != "five\nsix\n" || string(before) != "longer than ten\n" {
		t.Errorf("now %q, before %q", now, before)
	}
	if all, _ := filepath.Glob(path + "*"); len(all) != 2 {
		t.Errorf("files %q", all)
	}
}

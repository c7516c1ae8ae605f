package main

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// A service in the root of a system that is not running: installed with its policy checked, looked at, and taken away.
func TestServiceInRoot(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("a unit is for systemd")
	}
	if _, err := os.Stat("/usr/bin/systemctl"); err != nil {
		required(t, "systemctl enables units in a root: %v; install Debian's package systemd", err)
	}
	root := t.TempDir()
	const policy = "/etc/weir/policy.yaml"
	if err := os.MkdirAll(filepath.Join(root, "etc/weir"), 0o755); err != nil {
		t.Fatal(err)
	}
	install := []string{"service", "install", policy, "--root", root, "--program", "/usr/local/bin/weir"}
	if o := weir(t, "", install...); o.status != exitUsage || !strings.Contains(o.err, "no such file") {
		t.Errorf("without a policy: %+v", o)
	}
	if err := os.WriteFile(filepath.Join(root, policy), []byte(starter), 0o644); err != nil {
		t.Fatal(err)
	}
	golden(t, "service/dryrun.txt", weir(t, "", append(install, "--dry-run", "--minimal", "--", "--log-format", "json")...).out)
	o := weir(t, "", append(install, "--", "--log-level", "debug")...)
	text := strings.ReplaceAll(o.out, root, "ROOT")
	if o.status != exitDone {
		t.Fatalf("%+v", o)
	}
	golden(t, "service/installed.txt", text)
	if o := weir(t, "", "service", "status", "--root", root); o.status != exitFailed || strings.ReplaceAll(o.out, root, "ROOT") != text {
		t.Errorf("%+v", o)
	}
	if o := weir(t, "", "service", "status", "--root", root, "--json"); o.status != exitFailed || !strings.Contains(o.out, `"starts_with_system": true`) {
		t.Errorf("%+v", o)
	}
	if o := weir(t, "", "service", "uninstall", "--root", root); o.status != exitDone || o.out != "weir is not installed\n" {
		t.Errorf("%+v", o)
	}
	if o := weir(t, "", "service", "uninstall", "--root", root); o.status != exitFailed || !strings.Contains(o.err, "weir service install POLICY does that") {
		t.Errorf("%+v", o)
	}
}

func TestServiceRefuses(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("other words elsewhere")
	}
	for args, want := range map[string]string{
		"install":                             "the policy file is missing",
		"install a b":                         `"b" is one argument too many`,
		"install /etc/p.yaml --root /x --now": "--now is for the system that runs",
		"install /etc/p.yaml --dry-run -- --packet": "behind --: unknown flag: --packet",
		"install /etc/p.yaml --dry-run --program x": "needs an absolute one",
		"restart": `unknown command "restart" for "weir service"`,
	} {
		if o := weir(t, "", append([]string{"service"}, strings.Fields(args)...)...); o.status == exitDone || o.out != "" || !strings.Contains(o.err, want) {
			t.Errorf("%s: %+v", args, o)
		}
	}
}

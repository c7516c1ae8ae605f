package main

import (
	"runtime"
	"strings"
	"testing"

	"github.com/weirnet/weir/internal/driverlife"
)

// On other systems than Windows there is no service, which is told in so many words.
func TestDriverServiceElsewhere(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("here it is")
	}
	for _, args := range []string{"status", "install x.sys", "uninstall", "clean"} {
		o := weir(t, "", append([]string{"driver"}, strings.Fields(args)...)...)
		if o.status != exitFailed || o.out != "" || !strings.Contains(o.err, "on Windows only: this system is "+runtime.GOOS) || !strings.Contains(o.err, "weir doctor") {
			t.Errorf("%s: status %d, %q, %q", args, o.status, o.out, o.err)
		}
	}
	for args, want := range map[string]string{"install": "the driver's file is missing", "status x": "unknown command", "clean --force": "unknown flag"} {
		if o := weir(t, "", append([]string{"driver"}, strings.Fields(args)...)...); o.status != exitUsage || !strings.Contains(o.err, want) {
			t.Errorf("%s: status %d, %q, want %q", args, o.status, o.err, want)
		}
	}
}

func TestWriteDriverStatus(t *testing.T) {
	for name, c := range map[string]struct {
		st   driverlife.Status
		want string
	}{
		"none": {driverlife.Status{}, "WinDivert is not installed. Programs that open handles install it; 'weir driver install FILE' does too.\n"},
		"stale": {driverlife.Status{Entries: []driverlife.Look{{
			Entry:  driverlife.Entry{Name: "WinDivert", State: driverlife.Stopped, File: `C:\x.sys`, Disabled: true},
			Faults: []driverlife.Fault{{Error: 2, Detail: "it is gone", Remedy: "weir driver clean"}},
		}}}, "WinDivert: stopped, disabled\n  file       C:\\x.sys\n  FAULT      error 2: it is gone\n  mend       weir driver clean\n"},
		"in use": {driverlife.Status{
			Entries: []driverlife.Look{{Entry: driverlife.Entry{Name: "WinDivert", State: driverlife.Running, File: `C:\x.sys`, Deleted: true}, Version: "2.2.2.0", Signature: "good"}},
			Users:   []driverlife.User{{ProcessID: 5, Process: "a.exe", Layer: "network", Flags: "sniff", Filter: "tcp"}, {ProcessID: 6, Layer: "flow", Priority: -1}},
		}, "WinDivert: running, goes when it has stopped\n  file       C:\\x.sys\n  version    2.2.2.0\n  signature  good\n" +
			"used by a.exe (pid 5): layer network, priority 0, flags sniff, filter tcp\nused by process (pid 6): layer flow, priority -1\n"},
		"unknown": {driverlife.Status{UsersErr: "access denied"}, "who uses it is not known: access denied\n"},
	} {
		var b strings.Builder
		if err := writeDriverStatus(&b, &c.st); err != nil || !strings.HasSuffix(b.String(), c.want) {
			t.Errorf("%s: %v\n%s\nwant\n%s", name, err, b.String(), c.want)
		}
	}
}

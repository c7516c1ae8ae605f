package main

import (
	"encoding/json"
	"runtime/debug"
	"strings"
	"testing"
)

func TestVersion(t *testing.T) {
	var v version
	o := weir(t, "", "version", "--json")
	if err := json.Unmarshal([]byte(o.out), &v); err != nil || v.Module != "github.com/weirnet/weir" || v.Go == "" || v.Platform == "" {
		t.Errorf("%v: %s", err, o.out)
	}
	if o := weir(t, "", "version"); o.status != exitDone || !strings.Contains(o.out, "drivers   sim, pcap") {
		t.Errorf("%q", o.out)
	}
}

func TestVersionOf(t *testing.T) {
	info := &debug.BuildInfo{Main: debug.Module{Path: "github.com/weirnet/weir", Version: "v1.2.3"}, Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "abc"}, {Key: "vcs.time", Value: "2026-11-23T00:00:00Z"}, {Key: "vcs.modified", Value: "true"},
	}}
	got := versionOf(info).String()
	if want := "weir v1.2.3\nrevision  abc of 2026-11-23T00:00:00Z, with changes\n"; !strings.HasPrefix(got, want) {
		t.Errorf("%q", got)
	}
	if got := versionOf(nil); got.Version != "(unknown)" || got.Revision != "" {
		t.Errorf("%+v", got)
	}
}

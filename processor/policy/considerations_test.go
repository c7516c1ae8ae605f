package policy

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/internal/clock"
	"github.com/weirnet/weir/processor"
)

// needy is a callout that declares what it needs.
type needy struct {
	fake
	what processor.Needs
}

func (n *needy) Needs() processor.Needs { return n.what }

// slow takes more than a millisecond of a virtual clock for each packet.
type slow struct {
	fake
	clock *clock.Virtual
}

func (s *slow) Classify(*processor.Classification) processor.Verdict {
	s.clock.Advance(1030 * time.Microsecond)
	return processor.Verdict{}
}

func considerationOptions(virtual *clock.Virtual) Options {
	return Options{Factories: map[string]Factory{
		"needs": func(name string, decode func(any) error) (processor.Callout, error) {
			var c struct {
				What string `yaml:"what,required" oneof:"headers first datagrams stream"`
			}
			err := decode(&c)
			return &needy{fake{name: name}, map[string]processor.Needs{
				"headers": processor.NeedsHeaders, "first": processor.NeedsFirstPacket,
				"datagrams": processor.NeedsDatagrams, "stream": processor.NeedsStream,
			}[c.What]}, err
		},
		"slow": func(name string, _ func(any) error) (processor.Callout, error) {
			return &slow{fake{name: name}, virtual}, nil
		},
	}}
}

// A policy for each consideration says exactly the report beside it, and a clean one none: those that show in the file as
// warnings, the time budget when it runs.
func TestConsiderations(t *testing.T) {
	files, err := filepath.Glob("testdata/considerations/*.yaml")
	if err != nil || len(files) != 5 {
		t.Fatalf("%d policies, %v", len(files), err)
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			virtual := clock.NewVirtual(time.Unix(0, 0))
			f, err := Load(path, considerationOptions(virtual))
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(strings.TrimSuffix(path, "yaml") + "txt")
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, l := range f.Lint() {
				got += fmt.Sprintf("%s:%d:%d: warning: %s; %s\n", filepath.Base(path), l.Line, l.Column, l.Msg, l.Remedy)
			}
			if filepath.Base(path) == "time-budget.yaml" {
				if got != "" {
					t.Errorf("warnings\n%s", got)
				}
				got = strings.Join(runOnce(t, f, virtual), "\n") + "\n"
			}
			if got != strings.ReplaceAll(string(want), "\r\n", "\n") {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

// runOnce runs the policy over one packet and returns the violations.
func runOnce(t *testing.T, f *File, virtual *clock.Virtual) (told []string) {
	t.Helper()
	sim := simdrv.New(simdrv.Config{})
	h, err := divertdrv.Open("true", divertdrv.Network, &divertdrv.Options{Driver: sim})
	if err != nil {
		t.Fatal(err)
	}
	p, err := processor.New(processor.Config{
		Handles: []*divertdrv.Handle{h}, Policy: f.Policy, Clock: virtual,
		OnViolation: func(v processor.Violation) { told = append(told, v.String()) },
	})
	if err != nil {
		t.Fatal(err)
	}
	datagram := []byte{0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 5, 0, 5, 0, 8, 0, 0}
	if err := sim.Send(datagram); err != nil {
		t.Fatal(err)
	}
	sim.End()
	if err := p.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	sim.Close()
	if s := h.Stats(); s.Conserved() != nil || s.Passed != 1 {
		t.Errorf("%v, stats %+v", s.Conserved(), s)
	}
	return told
}

// A reason belongs to one place only.
func TestReasons(t *testing.T) {
	for filter, want := range map[string]string{
		`{name: a, layer: ale-flow-established, action: block, reason: x}`:  "",
		`{name: a, layer: ale-flow-established, action: permit, reason: x}`: `"reason" belongs to action: block at ale-flow-established; remove it`,
		`{name: a, layer: ale-auth-connect, action: block, reason: x}`:      `"reason" belongs to action: block at ale-flow-established; remove it`,
		`{name: a, layer: ale-flow-established, action: block, reason: ""}`: "a reason is empty",
		`{name: a, layer: ale-flow-established, action: block, reason: 7}`:  "want text",
	} {
		f, err := Parse("p", []byte("version: 1\nfilters: ["+filter+"]\n"), testOptions)
		switch {
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v, want %s", filter, err, want)
		case want == "" && (err != nil || f.Filters[0].Reason != "x"):
			t.Errorf("%s: %v", filter, err)
		}
	}
}

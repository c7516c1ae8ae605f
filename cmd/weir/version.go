package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/weirnet/weir/internal/daemon"
)

// version is what `weir version --json` prints.
type version struct {
	Module   string   `json:"module"`
	Version  string   `json:"version"`            // of the module; "(devel)" for a build of a checkout without tags
	Revision string   `json:"revision,omitempty"` // of the checkout, where it was known
	Time     string   `json:"time,omitempty"`     // of that revision, RFC 3339
	Modified bool     `json:"modified,omitempty"` // the checkout had changes
	Go       string   `json:"go"`
	Platform string   `json:"platform"`
	Drivers  []string `json:"drivers"` // linked into this program
}

func newVersion() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "version",
		GroupID: groupProgram,
		Short:   "Say what this program is",
		Long:    "Says which version this is, of which revision, by which Go, for which platform, and which drivers are linked.",
		Example: "  weir version\n  weir version --json",
		Args:    cobra.NoArgs,
		RunE: does(func(cmd *cobra.Command, _ []string) error {
			info, _ := debug.ReadBuildInfo()
			v := versionOf(info)
			if asJSON {
				return printJSON(cmd.OutOrStdout(), v)
			}
			_, err := fmt.Fprint(cmd.OutOrStdout(), v)
			return err
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// versionOf reads what the Go tool wrote into the program; info may be nil.
func versionOf(info *debug.BuildInfo) version {
	v := version{
		Module: "github.com/weirnet/weir", Version: "(unknown)",
		Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH, Drivers: daemon.Drivers(),
	}
	if info == nil {
		return v
	}
	v.Module, v.Version = info.Main.Path, info.Main.Version
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Revision = s.Value
		case "vcs.time":
			v.Time = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}

// String is what `weir version` prints.
func (v version) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "weir %s\n", v.Version)
	if v.Revision != "" {
		state := "clean"
		if v.Modified {
			state = "with changes"
		}
		fmt.Fprintf(&b, "revision  %s of %s, %s\n", v.Revision, v.Time, state)
	}
	fmt.Fprintf(&b, "module    %s\ngo        %s\nplatform  %s\ndrivers   %s\n", v.Module, v.Go, v.Platform, strings.Join(v.Drivers, ", "))
	return b.String()
}

// printJSON writes v as one indented object and a newline.
func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

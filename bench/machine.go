package bench

import (
	"runtime"
	"runtime/debug"
	"strings"
)

// Machine is where something was measured.
type Machine struct {
	CPU        string  `json:"cpu"`
	Processors int     `json:"processors"`
	Memory     uint64  `json:"memory,omitempty"` // bytes
	Kernel     string  `json:"kernel,omitempty"`
	Load       float64 `json:"load,omitempty"` // of the last minute, when the run began; 0: not known
}

// Build is what was measured.
type Build struct {
	Commit     string `json:"commit,omitempty"`   // of the checkout that was built; "": not known
	Modified   bool   `json:"modified,omitempty"` // it had changes
	Go         string `json:"go"`
	GOOS       string `json:"goos"`
	GOARCH     string `json:"goarch"`
	Experiment string `json:"goexperiment,omitempty"` // "simd": the sums go through vectors
}

// ThisBuild describes the running program, ThisMachine where it runs.
func ThisBuild() Build {
	goVersion, experiment := experimentOf(runtime.Version())
	b := Build{Go: goVersion, GOOS: runtime.GOOS, GOARCH: runtime.GOARCH, Experiment: experiment}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return b
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.modified":
			b.Modified = s.Value == "true"
		}
	}
	return b
}

// experimentOf takes a version apart: "go1.26.8-X:simd", or with a space in the hyphen's place, as older ones have it.
func experimentOf(version string) (goVersion, experiment string) {
	goVersion, experiment, _ = strings.Cut(version, "X:")
	return strings.TrimRight(goVersion, " -"), experiment
}

// ThisMachine describes the machine.
func ThisMachine() Machine {
	m := Machine{CPU: "unknown", Processors: runtime.NumCPU()}
	m.look()
	return m
}

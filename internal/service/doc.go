// Package service makes Weir a service of the system: it writes, starts, stops and takes away a systemd unit on Linux, and a
// service of the service control manager on Windows. What is decided is here, in files for every platform; the files of a platform
// pass it on.
package service

import (
	"context"
	"errors"
	"fmt"
)

// Name is what the service is called.
const Name = "weir"

// Spec is what a service runs.
type Spec struct {
	Program string   // absolute path
	Policy  string   // absolute path
	Args    []string // of `weir run`, behind the policy
	Minimal bool     // systemd: without CAP_SYS_ADMIN, see docs/operating.md
}

// Manager looks after the service of one system. Its methods block until the system has answered, or ctx ends.
type Manager interface {
	// Describe returns what Install would write.
	Describe(s Spec) (string, error)
	// Install writes the service, anew if it is there already, and has it start with the system. It does not start it.
	Install(ctx context.Context, s Spec) error
	// Uninstall stops the service and takes away what Install wrote. Without one it returns ErrNotInstalled.
	Uninstall(ctx context.Context) error
	// Start returns when the service is ready; Stop, when it has ended. Without one they return ErrNotInstalled.
	Start(ctx context.Context) error
	Stop(ctx context.Context) error
	Status(ctx context.Context) (Status, error)
}

// The states of a service.
const (
	Absent   = "not installed"
	Stopped  = "stopped"
	Starting = "starting"
	Running  = "running"
	Stopping = "stopping"
	Failed   = "failed"
)

// Status is how a service is.
type Status struct {
	State   string `json:"state"`
	Boot    bool   `json:"starts_with_system"`
	PID     int    `json:"pid,omitempty"`     // while it runs
	Text    string `json:"text,omitempty"`    // what it says of itself, or what it ended with
	Restart int    `json:"restarts"`          // that the system has made
	Where   string `json:"where,omitempty"`   // the file or key that defines it
	Command string `json:"command,omitempty"` // that it runs
}

// ErrNotInstalled: there is no such service.
var ErrNotInstalled = errors.New("the service is not installed; weir service install POLICY does that")

// ErrForeign: something of the service's name is there that Install did not write.
var ErrForeign = errors.New("it was not written by weir, and is left alone; move it away first")

// ErrUnsupported: there is no service manager here that this program knows.
var ErrUnsupported = errors.New("no service manager here: systemd (Linux) or the service control manager (Windows) is needed")

// check says what about a Spec cannot work anywhere.
func (s *Spec) check(absolute func(string) bool) error {
	for what, path := range map[string]string{"program": s.Program, "policy": s.Policy} {
		if !absolute(path) {
			return fmt.Errorf("the path of the %s is %q; a service needs an absolute one", what, path)
		}
	}
	return nil
}

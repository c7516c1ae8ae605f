package control

import "time"

// Version is the version of the API, which stands in front of every path.
const Version = 1

// The states of a daemon.
//
//	starting ──▶ running ◀──▶ paused
//	                └───┬──────┘
//	                    ▼
//	                 draining
const (
	Starting = "starting" // handles are being opened
	Running  = "running"  // packets are judged
	Paused   = "paused"   // nothing is diverted: packets pass by
	Draining = "draining" // it ends: what waits is judged
)

// Status is what runs.
type Status struct {
	API      int       `json:"api"` // Version
	Weir     Build     `json:"weir"`
	PID      int       `json:"pid"`
	State    string    `json:"state"`
	Started  time.Time `json:"started"`
	UptimeNS int64     `json:"uptime_ns"` // by a clock that does not jump

	Driver  DriverStatus `json:"driver"`
	Policy  PolicyStatus `json:"policy"`
	Reloads Reloads      `json:"reloads"`
	Process Process      `json:"process"`
}

// Build says which program it is.
type Build struct {
	Version  string `json:"version"`
	Revision string `json:"revision,omitempty"` // of the source, where it is known
	Go       string `json:"go"`
	Platform string `json:"platform"` // such as linux/amd64
}

// DriverStatus says how the driver is.
type DriverStatus struct {
	Name     string `json:"name"`
	Open     bool   `json:"open"`            // false: paused, or it died and is being opened again
	Reopened uint64 `json:"reopened"`        // times that it was opened again after it had died
	Error    string `json:"error,omitempty"` // why it died last
}

// PolicyStatus is the policy in force.
type PolicyStatus struct {
	Path     string    `json:"path,omitempty"` // empty: a filter that was given by itself
	LoadedAt time.Time `json:"loaded_at"`
	Filters  int       `json:"filters"`
	Callouts int       `json:"callouts"`
	Handles  int       `json:"handles"`
}

// Reloads counts what became of requests to reload.
type Reloads struct {
	Applied uint64        `json:"applied"`
	Refused uint64        `json:"refused"` // those that changed nothing, since something was wrong
	Last    *ReloadResult `json:"last,omitempty"`
}

// Process is what the program takes of the machine.
type Process struct {
	Goroutines  int    `json:"goroutines"`
	HeapBytes   uint64 `json:"heap_bytes"`
	MemoryLimit uint64 `json:"memory_limit,omitempty"` // GOMEMLIMIT, bytes; 0: none
	OpenFiles   int    `json:"open_files,omitempty"`   // where the platform tells
}

// ReloadResult is what a reload did, or why it did nothing.
type ReloadResult struct {
	At      time.Time `json:"at"`
	By      string    `json:"by"` // signal, file or control
	Applied bool      `json:"applied"`
	TookNS  int64     `json:"took_ns"`

	// Valid iff Applied. Names of filters; Changed are those that have the same name and do something else.
	Added   []string `json:"added,omitempty"`
	Removed []string `json:"removed,omitempty"`
	Changed []string `json:"changed,omitempty"`

	HandlesOpened int    `json:"handles_opened"` // those whose filter, priority, flags or driver settings changed
	HandlesKept   int    `json:"handles_kept"`
	FlowsToAsk    uint64 `json:"flows_to_ask"` // flows that are authorised again, each with its next packet

	Notes []string `json:"notes,omitempty"` // what is in force and has not all of its effect before a restart

	// Valid iff not Applied.
	Error    string    `json:"error,omitempty"`
	Problems []Problem `json:"problems,omitempty"` // of the policy file, where that is what is wrong
}

// Problem is one thing that is wrong with a policy file.
type Problem struct {
	File    string `json:"file,omitempty"`
	Line    int    `json:"line,omitempty"` // from 1; 0: the file as a whole
	Column  int    `json:"column,omitempty"`
	Message string `json:"message"`
}

// LogLevels are the levels of all components of the log.
type LogLevels struct {
	Levels map[string]string `json:"levels"` // component → debug, info, warn or error
}

// LogLevel sets a level.
type LogLevel struct {
	Component string `json:"component"` // empty: all
	Level     string `json:"level"`
}

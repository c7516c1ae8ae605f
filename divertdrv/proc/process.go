package proc

import "time"

// Process is the owner of a flow. ID 0 with a name: several processes of that name share the socket.
type Process struct {
	ID    uint32
	Start time.Time // zero: it is not known; with ID it names a process for good
	Name  string    // of the program, without its folder; "": it is not known
	Path  string    // of the program; "": it is not known, or not ours to see
}

// Known says that there is something to tell.
func (p Process) Known() bool { return p.ID != 0 || p.Name != "" }

// Socket is a line of the system's socket tables.
type Socket struct {
	Key    Key
	Owners []uint32 // processes that have it open
}

// System is where sockets and processes are looked up. Its methods may block for some milliseconds; they are not called while a
// lock is held, nor two at a time for Sockets.
type System interface {
	// Sockets lists those that have an owner.
	Sockets() ([]Socket, error)
	// Process describes a process that runs. The error says that it does not, or is not ours to see.
	Process(id uint32) (Process, error)
}

// merge is the owner of what several processes have open: the one, or what they have in common.
func merge(all []Process) Process {
	var m Process
	for i, p := range all {
		switch {
		case i == 0:
			m = p
		case p.ID != m.ID || !p.Start.Equal(m.Start):
			if p.Name != m.Name {
				return Process{}
			}
			m.ID, m.Start = 0, time.Time{}
			if p.Path != m.Path {
				m.Path = ""
			}
		}
	}
	return m
}

package driverlife

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/filter"
	"github.com/weirnet/weir/internal/clock"
)

// User is an open handle of some process.
type User struct {
	ProcessID uint32 `json:"process_id"`
	Process   string `json:"process,omitempty"` // its name, where it is known
	Layer     string `json:"layer"`
	Priority  int16  `json:"priority"`
	Flags     string `json:"flags"`
	Filter    string `json:"filter,omitempty"` // as text; empty: it cannot be read
}

func (u User) String() string {
	name := u.Process
	if name == "" {
		name = "process"
	}
	return fmt.Sprintf("%s (pid %d)", name, u.ProcessID)
}

// names lists the processes, each once.
func names(users []User) string {
	var list []string
	seen := map[uint32]bool{}
	for _, u := range users {
		if !seen[u.ProcessID] {
			seen[u.ProcessID] = true
			list = append(list, u.String())
		}
	}
	return strings.Join(list, ", ")
}

// maxUsers bounds the list.
const maxUsers = 1024

// Handles asks a driver who has handles open, by its REFLECT layer, which tells of those that are there when it is opened. It ends
// when nothing was told for quiet. The driver is not installed for this. name finds a process' name, and may be nil.
func Handles(d divertdrv.Driver, c clock.Clock, quiet time.Duration, name func(pid uint32) string) ([]User, error) {
	h, err := divertdrv.Open("event == OPEN", divertdrv.LayerReflect, &divertdrv.Options{
		Driver: d, Flags: divertdrv.Sniff | divertdrv.RecvOnly | divertdrv.NoInstall,
	})
	if err != nil {
		return nil, err
	}
	defer h.Close()
	users := []User{}
	b := divertdrv.NewBatch(divertdrv.BatchMax, 1<<20)
	for len(users) < maxUsers {
		t := c.AfterFunc(quiet, func() { _ = h.Shutdown(divertdrv.ShutdownRecv) }) // Recv tells
		err := h.Recv(b)
		t.Stop()
		if errors.Is(err, divertdrv.ErrShutdown) {
			return users, nil
		}
		if err != nil {
			return users, err
		}
		for i := range b.Packets() {
			users = append(users, userOf(&b.Packets()[i], name))
		}
		if err := h.Complete(b); err != nil {
			return users, err
		}
	}
	return users, nil
}

func userOf(p *divertdrv.Packet, name func(pid uint32) string) User {
	r := p.Addr.Reflect()
	u := User{ProcessID: r.ProcessID, Layer: r.Layer.String(), Priority: r.Priority, Flags: r.Flags.String()}
	if name != nil {
		u.Process = name(r.ProcessID)
	}
	if f, err := filter.Parse(strings.TrimRight(string(p.Data), "\x00"), r.Layer); err == nil { // the event's data is its object
		u.Filter, _ = f.Format() // what has no text stays empty
	}
	return u
}

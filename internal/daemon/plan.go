package daemon

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/weirnet/weir/processor"
	"github.com/weirnet/weir/processor/policy"
)

// The backends that a plan can name.
const (
	Auto      = "auto" // the platform's own
	WinDivert = "windivert"
	NFQueue   = "nfqueue"
	Sim       = "sim"
	Pcap      = "pcap"
)

// Backends returns every word that a plan may name a driver by.
func Backends() []string { return []string{Auto, WinDivert, NFQueue, Sim, Pcap} }

// Drivers returns the backends that are linked into this program.
func Drivers() []string {
	all := []string{Sim, Pcap}
	if platform != "" {
		all = append(all, platform)
	}
	return all
}

// Driver says where packets come from and go to.
type Driver struct {
	Backend string

	// With Pcap: the capture to read; "-" is Stdin.
	In    string
	Stdin io.Reader
	Local []netip.Prefix // addresses of the host that captured; empty: the first to speak

	Out string // pcapng file of what leaves; empty: none

	// With NFQueue: see nfqdrv.Config.
	Namespace  string
	FailClosed bool
	Spin       time.Duration

	// With Sim: what traffic is made. Packets 0: without end.
	Seed    uint64
	Packets int
}

// repeats says that the same plan must give the same result every time: captures and simulations do.
func (d *Driver) repeats() bool { return d.Backend == Sim || d.Backend == Pcap }

// lives says that the packets are those of the host itself: losing sight of them is no reason to end.
func (d *Driver) lives() bool { return !d.repeats() }

// Plan is what to run. It is not changed once it is opened.
type Plan struct {
	Driver  Driver
	Handles []policy.Handle
	Policy  *processor.Policy // nil: permit all

	Rules  processor.Rules // what is done about breaches of the considerations
	Verify bool            // enforce all rules, whatever Rules says, and tell each breach

	Count   uint64        // packets to receive, over all handles; 0: all
	Timeout time.Duration // 0: none
	Drain   time.Duration // for which deferred work is waited for at the end; 0: 5 s

	Path  string            // of the policy; empty: a filter by itself
	Files []string          // that the policy was read from, Path first
	Spare *processor.Policy // the same as Policy with callouts of its own, to explain packets by; nil: none

	// Reload reads the policy again; nil: there is none, and what under the handles is stays as it is. The error is *policy.Errors,
	// or what else is wrong.
	Reload func() (*Plan, error)
	// InForce is called when the plan is in force; may be nil.
	InForce func()
}

// ErrNotYet: the driver is not part of this version.
var ErrNotYet = errors.New("this version does not have it yet")

// CheckBackend says whether a backend can be opened by this program.
func CheckBackend(name string) error {
	there := Drivers()
	switch {
	case slices.Contains(there, name), name == Auto && platform != "":
		return nil
	case slices.Contains(Backends(), name):
		last := len(there) - 1
		return fmt.Errorf("driver %s: %w; there are %s and %s: name a capture with -r, or take --driver sim",
			name, ErrNotYet, strings.Join(there[:last], ", "), there[last])
	}
	return fmt.Errorf("unknown driver %q: want one of %s", name, strings.Join(Backends(), ", "))
}

package tunneldrv

import (
	"bytes"
	"fmt"
	"sync"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/drvtest"
)

// The suite, on a tunnel whose both ends are watched.
func TestDriver(t *testing.T) {
	drvtest.TestDriver(t, drvtest.Setup{New: newWorld, Skips: skips})
}

func newWorld(drvtest.T) *drvtest.World {
	e := &ends{}
	e.d = &Driver{ToTunnel: e.arrive(false), ToHost: e.arrive(true)}
	return &drvtest.World{
		Driver:   e.d,
		Caps:     divertdrv.Caps{Modify: true, Grow: true, LossCounted: true, HoldMax: 256},
		Network:  e,
		Ways:     []drvtest.Way{drvtest.Outbound, drvtest.Inbound},
		Unjoined: true,
	}
}

// ends are both ends of the tunnel. Nothing is ever under way between them.
type ends struct {
	d *Driver

	mu   sync.Mutex // guards left
	left []drvtest.Arrival
}

func (e *ends) arrive(atHost bool) func([]byte) {
	return func(data []byte) {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.left = append(e.left, drvtest.Arrival{AtHost: atHost, Data: bytes.Clone(data)})
	}
}

func (e *ends) Send(w drvtest.Way, data []byte) error {
	switch w {
	case drvtest.Outbound:
		e.d.Send(data)
	case drvtest.Inbound:
		e.d.Receive(data)
	default:
		return fmt.Errorf("a tunnel has no way %v", w)
	}
	return nil
}

func (e *ends) Settle() {}

func (e *ends) Left() []drvtest.Arrival {
	e.mu.Lock()
	defer e.mu.Unlock()
	left := e.left
	e.left = nil
	return left
}

// skips are what a tunnel leaves out, and why.
var skips = []string{
	// flags, and other layers
	"sniff/*", "drop-all/*", "recv-only/*", "send-only/*", "fragments/*", "overload/*", "reflect/*", "flow/*", "socket/*",
	"forward/*", "address/forwarded", "priority/layers-are-apart", "pass/changes-no-byte-forwarded",
	// there is no loopback in a tunnel, and no interface
	"address/loopback", "filter/loopback", "pass/changes-no-byte-loopback", "address/interface",
	// injection
	"impostor/*", "priority/an-injection-goes-strictly-lower", "priority/an-inbound-injection-goes-strictly-lower", "priority/never-ones-own",
	"modify/turned-round", "inject/outbound-leaves", "inject/inbound-reaches-the-host", "inject/order", "inject/owed-checksums-are-computed",
	"inject/final-checksums-are-trusted", "inject/until-one-fails", "inject/malformed", "inject/the-packet-stays-the-caller's",
	"inject/what-lower-handles-are-told", "inject/alignment", "inject/inbound-at-an-interface-that-is", "inject/forward",
	"shutdown/recv-still-sends", "shutdown/send-injects-nothing",
	// limits of a queue but its length
	"queue/size-sheds-the-oldest", "queue/larger-than-the-queue", "queue/time-sheds-what-waited", "queue/time-is-at-least-that",
	"queue/losses-are-counted-by-cause", "queue/copies-are-shed-alone", "close/unread-for-too-long-is-lost",
}

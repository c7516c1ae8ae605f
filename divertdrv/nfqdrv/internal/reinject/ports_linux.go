package reinject

import (
	"errors"
	"math"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/internal/netlink"
)

// portSlots bounds the interfaces that are remembered. Those whose indices share a slot displace each other.
const portSlots = 64

// port is what a frame's header must say to reach an interface, or why none can.
type port struct {
	index   uint32 // 0: the slot is empty
	kind    uint16
	address [6]byte
	err     error
}

// ports remembers interfaces, also those that are not there, until one changes.
type ports struct {
	conn  *netlink.Conn
	slots [portSlots]port
}

func (s *ports) forget() { clear(s.slots[:]) }

// get returns the port of an interface, or why it cannot receive.
func (s *ports) get(index uint32) (*port, error) {
	if index == 0 || index > math.MaxInt32 {
		return nil, errNoInterface
	}
	slot := &s.slots[index%portSlots]
	if slot.index != index {
		*slot = s.ask(index)
	}
	return slot, slot.err
}

func (s *ports) ask(index uint32) port {
	d, err := getLink(s.conn, index)
	switch {
	case errors.Is(err, unix.ENODEV):
		err = errNoInterface
	case err == nil:
		err = d.receives()
	}
	p := port{index: index, kind: kindPlain, address: d.address, err: err}
	if d.hasNoAddress() {
		p.kind = kindNoAddr
	}
	return p
}

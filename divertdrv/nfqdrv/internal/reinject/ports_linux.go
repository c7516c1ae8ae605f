package reinject

import (
	"errors"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/internal/netlink"
)

// portSlots bounds the interfaces that are remembered. Those whose indices share a slot displace each other.
const portSlots = 64

// port is what a frame's header must say to reach an interface.
type port struct {
	index   uint32 // 0: the slot is empty
	kind    uint16
	address [6]byte
}

// ports remembers interfaces until one changes.
type ports struct {
	conn  *netlink.Conn
	slots [portSlots]port
}

func (s *ports) forget() { clear(s.slots[:]) }

// get returns the port of an interface, or why it cannot receive.
func (s *ports) get(index uint32) (*port, error) {
	slot := &s.slots[index%portSlots]
	if slot.index == index && index != 0 {
		return slot, nil
	}
	if index == 0 || index > 1<<31-1 {
		return nil, errNoInterface
	}
	d, err := getLink(s.conn, index)
	if errors.Is(err, unix.ENODEV) {
		return nil, errNoInterface
	}
	if err != nil {
		return nil, err
	}
	if err := d.receives(); err != nil {
		return nil, err
	}
	*slot = port{index: index, kind: kindPlain, address: d.address}
	if d.hasNoAddress() {
		slot.kind = kindNoAddr
	}
	return slot, nil
}

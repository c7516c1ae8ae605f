package reinject

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/internal/netlink"
)

// link is what the kernel says of an interface.
type link struct {
	index   int
	typ     uint16 // ARPHRD_…
	flags   uint32 // IFF_…
	kind    string // "" where it is none of the kinds that users make
	address [6]byte
}

// hasNoAddress: packets of this type of interface have no frame header (the kernel's dev_is_mac_header_xmit).
func (d *link) hasNoAddress() bool {
	switch d.typ {
	case unix.ARPHRD_TUNNEL, unix.ARPHRD_TUNNEL6, unix.ARPHRD_SIT, unix.ARPHRD_IPGRE, unix.ARPHRD_IP6GRE, unix.ARPHRD_VOID,
		unix.ARPHRD_NONE, unix.ARPHRD_RAWIP, unix.ARPHRD_PIMREG, unix.ARPHRD_PPP:
		return true
	}
	return false
}

// receives says why the interface cannot receive what is injected, or nil.
func (d *link) receives() error {
	switch {
	case d.flags&unix.IFF_LOOPBACK != 0:
		return errLoopback
	case d.flags&unix.IFF_UP == 0:
		return errDown
	case d.typ != unix.ARPHRD_ETHER && !d.hasNoAddress():
		return errKind
	}
	return nil
}

// findLink asks by name, getLink by index; ENODEV: there is none.
func findLink(conn *netlink.Conn, name string) (link, error) {
	attrs := netlink.Attrs{}
	attrs.String(unix.IFLA_IFNAME, name)
	return queryLink(conn, linkBody(0, 0, attrs))
}

func getLink(conn *netlink.Conn, index uint32) (link, error) {
	return queryLink(conn, linkBody(int(index), 0, nil))
}

func queryLink(conn *netlink.Conn, body []byte) (d link, err error) {
	err = conn.Query(netlink.Message{Type: unix.RTM_GETLINK, Body: body}, func(m netlink.Message) error {
		if m.Type != unix.RTM_NEWLINK || len(m.Body) < unix.SizeofIfInfomsg {
			return errors.New("not an answer to RTM_GETLINK")
		}
		d.typ = binary.NativeEndian.Uint16(m.Body[2:])
		d.index = int(binary.NativeEndian.Uint32(m.Body[4:]))
		d.flags = binary.NativeEndian.Uint32(m.Body[8:])
		return netlink.Each(m.Body[unix.SizeofIfInfomsg:], d.attribute)
	})
	if err != nil {
		return link{}, fmt.Errorf("look up the interface: %w", err)
	}
	return d, nil
}

func (d *link) attribute(typ uint16, v []byte) error {
	switch typ {
	case unix.IFLA_ADDRESS:
		copy(d.address[:], v)
	case unix.IFLA_LINKINFO:
		return netlink.Each(v, func(typ uint16, v []byte) error {
			if typ == unix.IFLA_INFO_KIND {
				d.kind = netlink.Text(v)
			}
			return nil
		})
	}
	return nil
}

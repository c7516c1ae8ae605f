package reinject

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/internal/netlink"
)

// inbound sends frames to the namespace's inlet.
type inbound struct {
	fd     int // an AF_PACKET socket
	id     identity
	inlet  *inlet
	conn   *netlink.Conn
	watch  watch
	asked  time.Time // when the watch was
	ports  ports
	routes *routes // nil but on the forward path
}

func openInbound(source [6]byte, ns int, forward bool) (*inbound, error) {
	if source[0]&3 != 2 {
		return nil, fmt.Errorf("%w: Config.Source % x is not a local unicast address", divertdrv.ErrInvalid, source)
	}
	in := &inbound{fd: -1, watch: watch{-1}}
	if err := in.open(source, ns, forward); err != nil {
		return nil, errors.Join(err, in.close())
	}
	return in, nil
}

func (in *inbound) open(source [6]byte, ns int, forward bool) (err error) {
	if in.id, err = identify(ns); err != nil {
		return err
	}
	if in.inlet, err = borrowInlet(in.id); err != nil {
		return err
	}
	if in.conn, err = netlink.Dial(unix.NETLINK_ROUTE, -1); err != nil {
		return err
	}
	if in.watch, err = newWatch(forward); err != nil {
		return err
	}
	in.ports.conn = in.conn
	if forward {
		in.routes = newRoutes(in.conn)
	}
	return in.openSocket(source)
}

func (in *inbound) openSocket(source [6]byte) (err error) {
	// Protocol 0: the socket receives nothing.
	in.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return opening("packet socket (needs CAP_NET_RAW)", err)
	}
	cookie, err := in.cookie()
	if err != nil {
		return err
	}
	// Frames end in this processor's receive queue at once, so the default send buffer would do; large packets need more.
	if unix.SetsockoptInt(in.fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, sendBuffer) != nil {
		_ = unix.SetsockoptInt(in.fd, unix.SOL_SOCKET, unix.SO_SNDBUF, sendBuffer)
	}
	if err := in.inlet.senders.Put(cookie, sender{Source: source, Index: TagIndex(source), Hash: TagHash(source)}); err != nil {
		return opening(fmt.Sprintf("register with the inlet (at most %d injectors)", sendersMax), err)
	}
	return nil
}

func (in *inbound) cookie() (uint64, error) {
	cookie, err := unix.GetsockoptUint64(in.fd, unix.SOL_SOCKET, unix.SO_COOKIE)
	if err != nil {
		return 0, fmt.Errorf("ask for the socket's cookie: %w", err)
	}
	return cookie, nil
}

// freshTime is how long what was known is used unasked: asking costs as much as injecting a packet does.
const freshTime = 100 * time.Microsecond

// refresh forgets what was known of interfaces and routes if any changed, up to freshTime ago.
func (in *inbound) refresh() {
	now := time.Now()
	if now.Sub(in.asked) < freshTime {
		return
	}
	in.asked = now
	if in.watch.changed() {
		in.ports.forget()
		if in.routes != nil {
			in.routes.forget()
		}
	}
}

// fill adds a frame.
func (in *inbound) fill(b *burst, p *divertdrv.Packet) error {
	if len(p.Data) > inletMTU {
		return errFrame
	}
	index := p.Addr.IfIdx()
	if in.routes != nil {
		var err error
		if index, err = in.routes.arrival(p); err != nil {
			return err
		}
	}
	port, err := in.ports.get(index)
	if err != nil {
		return err
	}
	s := &b.slots[b.n]
	frame := s.head[:ethernetLen]
	copy(frame, port.address[:])
	binary.BigEndian.PutUint32(frame[macSource:], index)
	binary.BigEndian.PutUint16(frame[kindOff:], port.kind)
	etherType := uint16(unix.ETH_P_IP)
	if p.Data[0]>>4 == 6 {
		etherType = unix.ETH_P_IPV6
	}
	binary.BigEndian.PutUint16(frame[typeOff:], etherType)
	head, rest, err := s.hop(p, frame, in.routes != nil)
	if err != nil {
		return err
	}
	name := s.name[:unix.SizeofSockaddrLinklayer]
	clear(name)
	binary.NativeEndian.PutUint16(name, unix.AF_PACKET)
	binary.BigEndian.PutUint16(name[2:], etherType)
	binary.NativeEndian.PutUint32(name[4:], uint32(in.inlet.index))
	b.add(head, rest, len(name), 0)
	return nil
}

// close gives all back; it also ends an inbound that was opened in part.
func (in *inbound) close() error {
	var errs []error
	if in.fd >= 0 {
		if cookie, err := in.cookie(); err == nil {
			_ = in.inlet.senders.Delete(cookie) // absent where opening failed before
		}
		errs = append(errs, unix.Close(in.fd))
	}
	errs = append(errs, in.watch.close())
	if in.conn != nil {
		errs = append(errs, in.conn.Close())
	}
	if in.inlet != nil {
		errs = append(errs, in.inlet.giveBack(in.id))
	}
	return errors.Join(errs...)
}

package reinject

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/internal/netlink"
	"github.com/weirnet/weir/internal/netns"
)

// inlet is the device by which inbound packets enter a namespace: one end of a veth pair, with a program on its egress. Nothing
// passes through the pair. It has no addresses, and no carrier, since the other end stays down, so that neither the kernel nor
// any daemon uses it. All injectors of the process in one namespace share it.
//
// The other end is in a namespace of its own that only our descriptor keeps: when the process dies, however it dies, the kernel
// ends that namespace and with it the pair. Without CAP_SYS_ADMIN there is no such namespace; then the pair stays behind after a
// kill, and goes when its number is taken next (see number).
type inlet struct {
	index   int
	senders *ebpf.Map // socket cookie → sender

	users  int // guarded by inlets.mu
	closer closers
}

// inlets are the process's, by namespace.
var inlets = struct {
	mu   sync.Mutex
	open map[identity]*inlet
}{open: map[identity]*inlet{}}

// borrowInlet returns the namespace's inlet, made if it is the first. The thread is in the namespace.
func borrowInlet(id identity) (*inlet, error) {
	inlets.mu.Lock()
	defer inlets.mu.Unlock()
	t := inlets.open[id]
	if t == nil {
		t = &inlet{}
		if err := t.make(); err != nil {
			return nil, errors.Join(err, t.closer.Close())
		}
		inlets.open[id] = t
	}
	t.users++
	return t, nil
}

// giveBack removes the inlet after its last user.
func (t *inlet) giveBack(id identity) error {
	inlets.mu.Lock()
	defer inlets.mu.Unlock()
	if t.users--; t.users > 0 {
		return nil
	}
	delete(inlets.open, id)
	return t.closer.Close()
}

// make makes device, map and program; what is there when it fails is in t.closer.
func (t *inlet) make() error {
	conn, err := netlink.Dial(unix.NETLINK_ROUTE, -1)
	if err != nil {
		return err
	}
	t.closer.add(conn.Close)
	no, err := takeNumber(conn, &t.closer)
	if err != nil {
		return err
	}
	if err := t.makePair(conn, no); err != nil {
		return err
	}
	if t.senders, err = newSenders(); err != nil {
		return err
	}
	t.closer.add(t.senders.Close)
	prog, err := newProgram(t.senders)
	if err != nil {
		return err
	}
	defer prog.Close() // the device holds it
	return t.attach(conn, prog)
}

const (
	inletMTU = 65535 // of the device: the largest packet that can be received

	vethPeer = 1 // VETH_INFO_PEER (linux/veth.h)
)

// makePair makes the device, up, and its peer, down, in a namespace of its own where that can be.
func (t *inlet) makePair(conn *netlink.Conn, no int) error {
	peer := netlink.Attrs{}
	switch private, err := privateNamespace(); {
	case err == nil:
		peer.U32(unix.IFLA_NET_NS_FD, uint32(private))
		peer.String(unix.IFLA_IFNAME, inletName(no))
		t.closer.add(func() error { return unix.Close(private) })
	case errors.Is(err, unix.EPERM):
		peer.String(unix.IFLA_IFNAME, inletName(no)+"-peer")
	default:
		return err
	}
	address := inletAddress(no)
	attrs := netlink.Attrs{}
	attrs.String(unix.IFLA_IFNAME, inletName(no))
	attrs.Bytes(unix.IFLA_ADDRESS, address[:])
	attrs.U32(unix.IFLA_MTU, inletMTU)
	attrs.Nest(unix.IFLA_LINKINFO, func(in *netlink.Attrs) {
		in.String(unix.IFLA_INFO_KIND, "veth")
		in.Nest(unix.IFLA_INFO_DATA, func(in *netlink.Attrs) { in.Bytes(vethPeer, linkBody(0, 0, peer)) })
	})
	err := conn.Do(netlink.Message{
		Type: unix.RTM_NEWLINK, Flags: unix.NLM_F_ACK | unix.NLM_F_CREATE | unix.NLM_F_EXCL, Body: linkBody(0, 0, attrs),
	})
	if err != nil {
		return opening("make the inlet's veth pair (needs CAP_NET_ADMIN)", err)
	}
	d, err := findLink(conn, inletName(no))
	if err != nil {
		return err
	}
	t.index = d.index
	t.closer.add(func() error { return deleteLink(conn, t.index) })
	alias := netlink.Attrs{}
	alias.String(unix.IFLA_IFALIAS, "weir: where injected inbound packets enter")
	err = conn.Do(netlink.Message{
		Type: unix.RTM_NEWLINK, Flags: unix.NLM_F_ACK, Body: linkBody(t.index, unix.IFF_UP, alias),
	})
	if err != nil {
		return opening("set the inlet up", err)
	}
	return nil
}

// privateNamespace makes a namespace aside: where CAP_SYS_ADMIN lacks, the caller's thread could not be brought home again.
func privateNamespace() (fd int, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		fd, err = netns.New()
	}()
	<-done
	return fd, err
}

// linkBody is a struct ifinfomsg with attributes; flags are set.
func linkBody(index int, flags uint32, attrs netlink.Attrs) []byte {
	b := make([]byte, unix.SizeofIfInfomsg, unix.SizeofIfInfomsg+len(attrs))
	binary.NativeEndian.PutUint32(b[4:], uint32(index))
	binary.NativeEndian.PutUint32(b[8:], flags)
	binary.NativeEndian.PutUint32(b[12:], flags) // which of them change
	return append(b, attrs...)
}

func deleteLink(conn *netlink.Conn, index int) error {
	err := conn.Do(netlink.Message{Type: unix.RTM_DELLINK, Flags: unix.NLM_F_ACK, Body: linkBody(index, 0, nil)})
	if errors.Is(err, unix.ENODEV) { // somebody was faster
		return nil
	}
	if err != nil {
		return fmt.Errorf("remove the inlet: %w", err)
	}
	return nil
}

// closers undo in reverse order.
type closers []func() error

func (c *closers) add(f func() error) { *c = append(*c, f) }

// Close calls all, whatever they return, once.
func (c *closers) Close() error {
	var errs []error
	for i := len(*c) - 1; i >= 0; i-- {
		errs = append(errs, (*c)[i]())
	}
	*c = nil
	return errors.Join(errs...)
}

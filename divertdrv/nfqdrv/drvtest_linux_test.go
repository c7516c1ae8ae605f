package nfqdrv_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/drvtest"
	"github.com/weirnet/weir/divertdrv/nfqdrv/internal/queue"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/internal/nettest"
)

// The whole contract on a live kernel: a router with the driver, a peer and a host beyond.
func TestDriver(t *testing.T) {
	nettest.Need(t, nettest.Root, nettest.Program("ip6tables-nft", "iptables"), nettest.Program("ip", "iproute2"))
	n := newNetwork(t)
	drvtest.TestDriver(t, drvtest.Setup{New: n.world, Skips: skips, Docs: "../../docs/drivers.md"})
}

// skips are the rules of what the driver has not: the layers of events.
var skips = []string{"flow/*", "socket/*"}

// network is the router's namespace and the two others, with a witness at each end.
type network struct {
	net          *nettest.Routed
	peer, beyond *end
	host         *queue.Queue
	over         atomic.Bool // the host's witness is to end
	raw4, raw6   int

	mu   sync.Mutex // guards what follows
	left []drvtest.Arrival

	ways [4][2]netip.Addr // by Way: source and destination of sentinels
	sent uint64           // of sentinels; used by the test's goroutine
	seen atomic.Uint64
}

func newNetwork(t *testing.T) *network {
	n := &network{net: nettest.NewRouted(t)}
	for _, l := range n.net.Links() {
		l.SetMTU(65535)
	}
	for _, pair := range [][2]*nettest.Link{{n.net.Client, n.net.Left}, {n.net.Server, n.net.Right}} {
		for i, l := range pair {
			for _, a := range []string{pair[1-i].V4.String(), pair[1-i].V6.String()} {
				l.NS.Command("ip", "neigh", "replace", a, "lladdr", pair[1-i].MAC.String(), "dev", l.Name, "nud", "permanent")
			}
		}
	}
	local, remote := n.net.Left.V4, n.net.Client.V4
	n.ways = [4][2]netip.Addr{
		drvtest.Outbound: {local, remote}, drvtest.Inbound: {remote, local}, drvtest.Loopback: {local, local},
		drvtest.Forwarded: {remote, n.net.Server.V4},
	}
	var all sync.WaitGroup
	n.peer, n.beyond = newEnd(t, n.net.Client), newEnd(t, n.net.Server)
	for _, e := range []*end{n.peer, n.beyond} {
		all.Go(func() { e.watch(n.arrived) })
		t.Cleanup(e.close)
	}
	n.openHost(t)
	all.Go(func() { n.watchHost(t) })
	t.Cleanup(func() {
		n.beyond.close()
		n.peer.close()
		n.over.Store(true)
		_ = n.host.Wake()
		all.Wait()
		_ = n.host.Close()
	})
	return n
}

// openHost makes the sockets that the host sends by, and the witness of what reaches it: a queue behind the driver's hooks.
func (n *network) openHost(t *testing.T) {
	var err error
	n.net.Router.Do(func() {
		n.host, err = queue.Open(queue.Config{First: 7})
		n.raw4, n.raw6 = rawSocket(t, unix.AF_INET), rawSocket(t, unix.AF_INET6)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(n.raw4); _ = unix.Close(n.raw6) })
	for _, tables := range []string{"iptables-nft", "ip6tables-nft"} {
		n.net.Router.Command(tables, "-A", "INPUT", "-p", "udp", "--dport", fmt.Sprintf("%d:%d", drvtest.Port, sentinelPort), "-j", "NFQUEUE",
			"--queue-num", strconv.Itoa(int(n.host.Number())))
	}
}

func rawSocket(t *testing.T, family int) int {
	fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, 64<<20)
	}
	if err != nil {
		t.Fatal(err)
	}
	return fd
}

// watchHost notes what comes through to the host, and drops it. That a Recv brings no packet does not end it: the kernel takes
// packets out of all queues when any hook is unregistered (nf_queue_nf_hook_drop), and answers the verdict on such a one.
func (n *network) watchHost(t *testing.T) {
	v := n.host.NewVerdicts()
	for !n.over.Load() {
		if _, err := n.host.Recv(queue.Block); err != nil {
			t.Error(err)
			return
		}
		for p := (queue.Packet{}); n.host.Next(&p); {
			n.arrived(true, p.Data)
			_ = v.Drop(p.ID)
		}
		_ = v.Flush()
	}
}

func (n *network) arrived(atHost bool, data []byte) {
	var h wire.Headers
	if wire.Parse(data, &h) && h.Transport == wire.UDP && binary.BigEndian.Uint16(data[h.TransportOff+2:]) == sentinelPort {
		n.seen.Add(1)
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.left = append(n.left, drvtest.Arrival{AtHost: atHost, Data: bytes.Clone(data)})
}

func (n *network) world(dt drvtest.T) *drvtest.World {
	dt.Helper()
	n.Settle()
	n.Left()
	return &drvtest.World{
		Driver: driverIn(n.net.Router),
		Caps: divertdrv.Caps{
			Inject: true, InjectInbound: true, Modify: true, Grow: true, GSO: true, IfIdx: true, Fragments: true,
			LossCounted: true, HoldMax: 4096,
		},
		Network: n,
		Ways:    []drvtest.Way{drvtest.Outbound, drvtest.Inbound, drvtest.Loopback, drvtest.Forwarded},
		Jumbo:   true,
		IfIdx:   uint32(n.net.Right.Index),
		IPv4:    drvtest.Hosts{Local: n.net.Left.V4, Remote: n.net.Client.V4, Beyond: n.net.Server.V4},
		IPv6:    drvtest.Hosts{Local: n.net.Left.V6, Remote: n.net.Client.V6, Beyond: n.net.Server.V6},
	}
}

// Send puts a packet on its way: by a raw socket of the host, or by the peer's device.
func (n *network) Send(w drvtest.Way, data []byte) error {
	switch w {
	case drvtest.Inbound, drvtest.Forwarded:
		return n.peer.send(n.net.Left, data)
	}
	if data[0]>>4 == 6 {
		var to unix.SockaddrInet6
		copy(to.Addr[:], data[24:40])
		return unblocked(unix.Sendto(n.raw6, data, 0, &to))
	}
	var to unix.SockaddrInet4
	copy(to.Addr[:], data[16:20])
	return unblocked(unix.Sendto(n.raw4, data, 0, &to))
}

// unblocked: the kernel tells a program that its packet was dropped by a rule at once, which is not the network's failure.
func unblocked(err error) error {
	if errors.Is(err, unix.EPERM) {
		return nil
	}
	return err
}

// Settle sends packets of no interest along every way and waits until they arrive, so that the witnesses have read what came
// before them. Then the driver has the time to look at its queues.
func (n *network) Settle() {
	for w, ends := range n.ways {
		n.sent++
		_ = n.Send(drvtest.Way(w), sentinel(ends, n.sent))
	}
	for until := time.Now().Add(5 * time.Second); n.seen.Load() < n.sent && time.Now().Before(until); {
		time.Sleep(200 * time.Microsecond)
	}
	n.seen.Store(n.sent)              // one that did not come will not
	time.Sleep(20 * time.Millisecond) // the driver looks every 10
}

// sentinelPort is where datagrams go that only say that they have come.
const sentinelPort = drvtest.Port + 1

func sentinel(ends [2]netip.Addr, n uint64) []byte {
	b := make([]byte, 28)
	b[0], b[3], b[5], b[8], b[9] = 0x45, 28, byte(n)|1, 64, wire.ProtoUDP
	copy(b[12:], ends[0].AsSlice())
	copy(b[16:], ends[1].AsSlice())
	binary.BigEndian.PutUint16(b[22:], sentinelPort)
	b[25] = 8
	wire.CalcChecksums(b, 0)
	return b
}

func (n *network) Left() []drvtest.Arrival {
	n.mu.Lock()
	defer n.mu.Unlock()
	left := n.left
	n.left = nil
	return left
}

// end is a packet socket on a device of the wire.
type end struct {
	link *nettest.Link
	fd   int
	over atomic.Bool
}

func newEnd(t *testing.T, l *nettest.Link) *end {
	e := &end{link: l}
	var err error
	l.NS.Do(func() {
		const all = unix.ETH_P_ALL
		e.fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, int(all<<8&0xff00|all>>8))
		if err == nil {
			err = unix.Bind(e.fd, &unix.SockaddrLinklayer{Protocol: all<<8&0xff00 | all>>8, Ifindex: l.Index})
		}
	})
	err = errors.Join(err, unix.SetsockoptInt(e.fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 64<<20),
		unix.SetsockoptTimeval(e.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 50000}))
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func (e *end) close() { e.over.Store(true) }

// watch notes the datagrams of the suite that arrive at the device, and fragments.
func (e *end) watch(arrived func(atHost bool, data []byte)) {
	var h wire.Headers
	b := make([]byte, 1<<17)
	for {
		n, from, err := unix.Recvfrom(e.fd, b, 0)
		if err != nil {
			if e.closed() {
				_ = unix.Close(e.fd)
				return
			}
			continue
		}
		if from.(*unix.SockaddrLinklayer).Pkttype != unix.PACKET_OUTGOING && wire.Parse(b[:n], &h) && (h.Transport == wire.UDP || h.Fragment) {
			arrived(false, b[:n])
		}
	}
}

func (e *end) closed() bool { return e.over.Load() }

// send sends a frame to another link's device.
func (e *end) send(to *nettest.Link, data []byte) error {
	protocol := uint16(unix.ETH_P_IP)
	if data[0]>>4 == 6 {
		protocol = unix.ETH_P_IPV6
	}
	a := unix.SockaddrLinklayer{Protocol: protocol<<8 | protocol>>8, Ifindex: e.link.Index, Halen: 6}
	copy(a.Addr[:], to.MAC)
	if err := unix.Sendto(e.fd, data, 0, &a); err != nil {
		return fmt.Errorf("send a frame of %d bytes: %w", len(data), err)
	}
	return nil
}

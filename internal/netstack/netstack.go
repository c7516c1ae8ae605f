// Package netstack is a small host with a real TCP, for tests: gvisor's network stack (gvisor.dev/gvisor/pkg/tcpip) between net.Conn
// above and a pair of functions below.
//
//	a, err := netstack.New(netstack.Config{Addrs: prefixes, Out: func(data []byte) { … }}) // packets that leave
//	a.In(data)                                                                           // a packet that arrives
//	conn, err := a.Dial(ctx, to)
//
// What is between Out of one host and In of another is the test's: a divert driver that loses, reorders or rewrites. TCP is the
// witness: it checks each checksum, and what it delivers is whole and in order or it is an error. On a virtual clock (Config.Clock)
// with Drive, retransmission timeouts cost no time.
//
// Only tests may import it, since it links gvisor.
package netstack

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"

	"gvisor.dev/gvisor/pkg/buffer"
	"gvisor.dev/gvisor/pkg/tcpip"
	"gvisor.dev/gvisor/pkg/tcpip/adapters/gonet"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"gvisor.dev/gvisor/pkg/tcpip/link/channel"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv4"
	"gvisor.dev/gvisor/pkg/tcpip/network/ipv6"
	"gvisor.dev/gvisor/pkg/tcpip/stack"
	"gvisor.dev/gvisor/pkg/tcpip/transport/tcp"

	"github.com/weirnet/weir/internal/clock"
)

// DefaultMTU is in bytes.
const DefaultMTU = 1500

// queueMax bounds the packets that wait for Out; TCP takes those that find no room as lost. Stats counts them.
const queueMax = 4096

// nic is the host's one interface.
const nic tcpip.NICID = 1

// Config describes a host.
type Config struct {
	Addrs []netip.Prefix // its addresses, IPv4 or IPv6; all others are reached by Out too
	MTU   int            // bytes. 0: 1500
	Clock clock.Clock    // TCP's timers go by it; deadlines of connections do not: they are real time. nil: the system's

	// Out gets the packets that leave, from the IP header on, one at a time and in order, on a goroutine of the host's that
	// holds no lock: it may call In of any host. data is valid during the call only.
	Out func(data []byte)
}

// Host is one host. Its methods may be called from any goroutine.
type Host struct {
	stack *stack.Stack
	link  *channel.Endpoint
	out   func([]byte)
	done  chan struct{} // Out will not be called any more

	close  sync.Once
	closed atomic.Bool
}

// New makes a host; Close ends it and its goroutines.
func New(c Config) (*Host, error) {
	if c.MTU <= 0 {
		c.MTU = DefaultMTU
	}
	if c.Clock == nil {
		c.Clock = clock.System
	}
	h := &Host{
		stack: stack.New(stack.Options{
			NetworkProtocols:   []stack.NetworkProtocolFactory{ipv4.NewProtocol, ipv6.NewProtocol},
			TransportProtocols: []stack.TransportProtocolFactory{tcp.NewProtocol},
			Clock:              newClock(c.Clock),
		}),
		link: channel.New(queueMax, uint32(c.MTU), ""),
		out:  c.Out,
		done: make(chan struct{}),
	}
	go h.emit()
	if err := h.configure(c.Addrs); err != nil {
		h.Close()
		return nil, err
	}
	return h, nil
}

func (h *Host) configure(addrs []netip.Prefix) error {
	if err := h.stack.CreateNIC(nic, h.link); err != nil {
		return fmt.Errorf("netstack: interface: %s", err)
	}
	for _, p := range addrs {
		a := tcpip.ProtocolAddress{
			Protocol:          protocolOf(p.Addr()),
			AddressWithPrefix: tcpip.AddrFromSlice(p.Addr().AsSlice()).WithPrefix(),
		}
		if err := h.stack.AddProtocolAddress(nic, a, stack.AddressProperties{}); err != nil {
			return fmt.Errorf("netstack: address %v: %s", p, err)
		}
	}
	h.stack.SetRouteTable([]tcpip.Route{
		{Destination: header.IPv4EmptySubnet, NIC: nic},
		{Destination: header.IPv6EmptySubnet, NIC: nic},
	})
	sack := tcpip.TCPSACKEnabled(true)
	if err := h.stack.SetTransportProtocolOption(tcp.ProtocolNumber, &sack); err != nil {
		return fmt.Errorf("netstack: SACK: %s", err)
	}
	// Without RACK: with it a sender whose packets are lost and reordered may end up without any timer, in one transfer of some
	// thousands, and then both ends wait for ever (tcp/snd.go, postXmit: data is unacknowledged but none counts as outstanding).
	rack := tcpip.TCPRecovery(0)
	if err := h.stack.SetTransportProtocolOption(tcp.ProtocolNumber, &rack); err != nil {
		return fmt.Errorf("netstack: RACK: %s", err)
	}
	return nil
}

// emit gives packets to Out until the interface is gone.
func (h *Host) emit() {
	defer close(h.done)
	for {
		p := h.link.ReadContext(context.Background())
		if p == nil {
			return
		}
		view := p.ToView()
		p.DecRef()
		h.out(view.AsSlice())
		view.Release()
	}
}

// In is a packet that arrives, from its IP header on; it is copied. What is not IP is ignored, as is everything after Close. It does
// not wait for the packet to be worked off.
func (h *Host) In(data []byte) {
	if len(data) == 0 {
		return
	}
	protocol := header.IPv4ProtocolNumber
	switch data[0] >> 4 {
	case 4:
	case 6:
		protocol = header.IPv6ProtocolNumber
	default:
		return
	}
	p := stack.NewPacketBuffer(stack.PacketBufferOptions{Payload: buffer.MakeWithData(data)})
	defer p.DecRef()
	h.link.InjectInbound(protocol, p)
}

// Dial connects by TCP; it waits until it has, or ctx is done.
func (h *Host) Dial(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	c, err := gonet.DialContextTCP(ctx, h.stack, endpoint(to), protocolOf(to.Addr()))
	if err != nil {
		return nil, err // not c, which is no nil as a net.Conn
	}
	return c, nil
}

// Listen listens for TCP at one of the host's addresses.
func (h *Host) Listen(at netip.AddrPort) (net.Listener, error) {
	l, err := gonet.ListenTCP(h.stack, endpoint(at), protocolOf(at.Addr()))
	if err != nil {
		return nil, err
	}
	return &listener{TCPListener: l, host: h}, nil
}

// Close resets every connection and waits for the host's goroutines. Repeating it is harmless.
func (h *Host) Close() {
	h.close.Do(func() {
		h.closed.Store(true)
		h.stack.Close()
		h.link.Close() // also when there is no interface yet
		h.stack.Wait()
		<-h.done
	})
}

func protocolOf(a netip.Addr) tcpip.NetworkProtocolNumber {
	if a.Is4() {
		return header.IPv4ProtocolNumber
	}
	return header.IPv6ProtocolNumber
}

func endpoint(a netip.AddrPort) tcpip.FullAddress {
	return tcpip.FullAddress{NIC: nic, Addr: tcpip.AddrFromSlice(a.Addr().AsSlice()), Port: a.Port()}
}

// listener is gvisor's with a Close that wakes Accept, and the error that package net promises.
type listener struct {
	*gonet.TCPListener
	host   *Host
	once   sync.Once
	closed atomic.Bool
}

// Accept waits for the next connection; net.ErrClosed: the listener was closed, or its host.
func (l *listener) Accept() (net.Conn, error) {
	c, err := l.TCPListener.Accept()
	if err != nil && (l.closed.Load() || l.host.closed.Load()) {
		return nil, net.ErrClosed
	}
	return c, err
}

// Close ends Accept. Repeating it is harmless.
func (l *listener) Close() (err error) {
	l.once.Do(func() {
		l.closed.Store(true)
		l.Shutdown()
		err = l.TCPListener.Close()
	})
	return err
}

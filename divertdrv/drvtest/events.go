package drvtest

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
)

// The ports of the suite's own sockets.
const (
	socketPort = 40101
	otherPort  = 40102
)

// watch opens a handle for events.
func (p *probe) watch(filter string, l divertdrv.Layer) *handle {
	p.Helper()
	return p.openAt(filter, l, divertdrv.Options{Flags: mandatory(l)})
}

// events ends receiving and returns what had happened until then. Each event is marked Pass, which means nothing.
func (p *probe) events(h *handle) (all []*divertdrv.Packet) {
	p.Helper()
	p.w.Network.Settle()
	p.shut(h, divertdrv.ShutdownRecv)
	b := newBatch()
	err := p.recv(h, b)
	for ; err == nil; err = p.recv(h, b) {
		for i := range b.Packets() {
			all = append(all, clone(&b.Packets()[i]))
			passAll(b, i, 0)
		}
		p.complete(h, b)
	}
	if !errors.Is(err, divertdrv.ErrShutdown) {
		p.Fatalf("Recv after Shutdown(recv): %v, want ErrShutdown", err)
	}
	return all
}

// happened checks which events came, by name, and returns them.
func (p *probe) happened(h *handle, want ...addr.Event) []*divertdrv.Packet {
	p.Helper()
	all := p.events(h)
	if got := eventNames(all); got != names(want) {
		p.Fatalf("events %q, want %q", got, names(want))
	}
	return all
}

func eventNames(all []*divertdrv.Packet) string {
	var es []addr.Event
	for _, pk := range all {
		es = append(es, pk.Addr.Event())
	}
	return names(es)
}

func names(es []addr.Event) string {
	var s []string
	for _, e := range es {
		s = append(s, e.String())
	}
	return strings.Join(s, " ")
}

// local and remote are ends of the suite's own sockets.
func (p *probe) local(port uint16) netip.AddrPort {
	return netip.AddrPortFrom(p.w.IPv4.Local, port)
}

func (p *probe) remote(port uint16) netip.AddrPort {
	return netip.AddrPortFrom(p.w.IPv4.Remote, port)
}

func (p *probe) local6(port uint16) netip.AddrPort {
	return netip.AddrPortFrom(p.w.IPv6.Local, port)
}

func (p *probe) remote6(port uint16) netip.AddrPort {
	return netip.AddrPortFrom(p.w.IPv6.Remote, port)
}

// must takes a socket that nothing blocks.
func (p *probe) must(k Socket, err error) Socket {
	p.Helper()
	if err != nil {
		p.Fatalf("a program's socket: %v", err)
	}
	p.w.Network.Settle()
	return k
}

// over closes a socket of a program.
func (p *probe) over(k Socket) {
	p.Helper()
	if err := k.Close(); err != nil {
		p.Fatalf("closing a program's socket: %v", err)
	}
	p.w.Network.Settle()
}

// about checks what an event says of a flow or socket.
func (p *probe) about(pk *divertdrv.Packet, protocol uint8, local, remote netip.AddrPort) addr.Flow {
	p.Helper()
	f := pk.Addr.Flow()
	if !remote.IsValid() && f.Remote == netip.AddrPortFrom(netip.IPv6Unspecified(), 0) {
		remote = f.Remote
	}
	if f.Protocol != protocol || f.Local != local || f.Remote != remote {
		p.Errorf("%v: protocol %d, %v to %v; want %d, %v to %v", pk.Addr.Event(), f.Protocol, f.Local, f.Remote, protocol, local, remote)
	}
	if pk.Addr.IPv6() != local.Addr().Is6() || pk.Addr.Loopback() || pk.Addr.Impostor() || pk.Addr.Timestamp == 0 {
		p.Errorf("%v: IPv6 %v, loopback %v, impostor %v, timestamp %d",
			pk.Addr.Event(), pk.Addr.IPv6(), pk.Addr.Loopback(), pk.Addr.Impostor(), pk.Addr.Timestamp)
	}
	if len(pk.Data) != 0 {
		p.Errorf("%v: %d bytes of data at a layer without", pk.Addr.Event(), len(pk.Data))
	}
	return f
}

func portFilter(port int) string { return "localPort == " + strconv.Itoa(port) }

package nettest

import (
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"

	"github.com/weirnet/weir/internal/links"
)

// Link is one end of a veth pair.
type Link struct {
	NS     *Namespace
	Name   string
	Index  int
	MAC    net.HardwareAddr
	V4, V6 netip.Addr // of a /24 and a /64
}

// pairs numbers the pairs, for names and networks: 10.x.y.0/24 and fd77:0:0:n::/64.
var pairs atomic.Uint32

// Pair joins two namespaces (or one with itself) by a veth pair with an address of each family at each end, ready for use.
func Pair(t testing.TB, a, b *Namespace) (atA, atB *Link) {
	t.Helper()
	n := pairs.Add(1)
	atA, atB = newLink(a, n, 1), newLink(b, n, 2)
	a.links(func(l *links.Conn) error { return l.Veth(atA.Name, atB.Name, b.fd) })
	for _, l := range []*Link{atA, atB} {
		l.NS.links(func(nl *links.Conn) error { return nl.Up(l.Name) })
	}
	for _, l := range []*Link{atA, atB} {
		l.configure()
	}
	return atA, atB
}

func newLink(ns *Namespace, n uint32, host byte) *Link {
	v6 := netip.AddrFrom16([16]byte{0: 0xfd, 1: 0x77, 6: byte(n >> 8), 7: byte(n), 15: host})
	return &Link{
		NS: ns, Name: fmt.Sprintf("v%d-%d", n, host),
		V4: netip.AddrFrom4([4]byte{10, byte(n >> 8), byte(n), host}), V6: v6,
	}
}

// configure gives the link its addresses.
func (l *Link) configure() {
	l.NS.t.Helper()
	l.NS.links(func(nl *links.Conn) error {
		d, err := nl.Configure(l.Name, netip.PrefixFrom(l.V4, 24), netip.PrefixFrom(l.V6, 64))
		l.Index, l.MAC = d.Index, d.MAC[:]
		return err
	})
}

// Addr is the address of the family of like.
func (l *Link) Addr(like netip.Addr) netip.Addr {
	if like.Is4() {
		return l.V4
	}
	return l.V6
}

// SetMTU sets the MTU of this end, in bytes; both ends should agree.
func (l *Link) SetMTU(bytes int) {
	l.NS.t.Helper()
	l.NS.links(func(nl *links.Conn) error { return nl.MTU(l.Index, bytes) })
}

// Routed is a client and a server with a router between them that forwards both families.
type Routed struct {
	Client, Left, Right, Server *Link // Left and Right are the router's
	Router                      *Namespace
}

// NewRouted makes the three namespaces.
func NewRouted(t testing.TB) *Routed {
	t.Helper()
	client, router, server := NewNamespace(t), NewNamespace(t), NewNamespace(t)
	r := &Routed{Router: router}
	r.Client, r.Left = Pair(t, client, router)
	r.Right, r.Server = Pair(t, router, server)
	router.Sysctl("ipv4/ip_forward", "1")
	router.Sysctl("ipv6/conf/all/forwarding", "1")
	for end, gateway := range map[*Link]*Link{r.Client: r.Left, r.Server: r.Right} {
		end.NS.links(func(l *links.Conn) error {
			if err := l.Gateway(gateway.V4); err != nil {
				return err
			}
			return l.Gateway(gateway.V6)
		})
	}
	return r
}

// Links are the four ends, from client to server.
func (r *Routed) Links() []*Link { return []*Link{r.Client, r.Left, r.Right, r.Server} }

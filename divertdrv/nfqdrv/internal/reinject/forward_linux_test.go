package reinject

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/internal/nettest"
)

// forwardTo is the Address of a packet that is forwarded to a link, having come by another; 0: any.
func forwardTo(out, in int) func(a *divertdrv.Address) {
	return func(a *divertdrv.Address) {
		a.SetLayer(divertdrv.NetworkForward, 0)
		a.SetInterface(uint32(out), uint32(in))
	}
}

// What is injected forward arrives beyond the router byte by byte, in both directions, whether the interfaces are named or not.
func TestForwardArrivesAsItIs(t *testing.T) {
	needs(t)
	r := nettest.NewRouted(t)
	in := openIn(t, r.Router, Config{Layer: divertdrv.NetworkForward})
	for _, f := range families {
		for _, way := range []struct{ from, in, out, to *nettest.Link }{
			{r.Client, r.Left, r.Right, r.Server}, {r.Server, r.Right, r.Left, r.Client},
		} {
			src, dst := way.from.Addr(f.like), way.to.Addr(f.like)
			seen := sniff(t, way.to)
			for _, set := range []func(*divertdrv.Address){
				forwardTo(way.out.Index, way.in.Index), forwardTo(way.out.Index, 0), forwardTo(0, way.in.Index), forwardTo(0, 0),
			} {
				all := [][]byte{
					udp(t, src, dst, 5000, []byte("through")), tcp(t, src, dst), echo(t, src, dst), hops(t, src, dst, 1), hops(t, src, dst, 254),
					udp(t, src, dst, 5000, make([]byte, 1400)),
				}
				mustInject(t, in, packets(set, all...))
				for _, want := range all {
					seen.expect(want)
				}
			}
			mustInject(t, in, packets(forwardTo(0, 0), hops(t, src, dst, 255)))
			seen.expect(hops(t, src, dst, 254))
			impostor := func(a *divertdrv.Address) { a.SetImpostor(true) }
			mustInject(t, in, packets(impostor, hops(t, src, dst, 255)))
			seen.expect(hops(t, src, dst, 254))
		}
	}
}

// The administrator's rules at FORWARD see it, with the interface it is said to have come by; those at OUTPUT do not.
func TestForwardPassesRules(t *testing.T) {
	needs(t)
	nettest.Need(t, nettest.Program("iptables", "iptables"))
	r := nettest.NewRouted(t)
	in := openIn(t, r.Router, Config{Layer: divertdrv.NetworkForward})
	r.Router.Command("iptables", "-A", "OUTPUT", "-j", "DROP")
	r.Router.Command("iptables", "-A", "FORWARD", "-i", r.Left.Name, "-o", r.Right.Name, "-p", "udp", "--dport", "9", "-j", "DROP")
	seen := sniff(t, r.Server)
	dropped, passed := udp(t, r.Client.V4, r.Server.V4, 9, []byte("not me")), udp(t, r.Client.V4, r.Server.V4, 10, []byte("but me"))
	mustInject(t, in, packets(forwardTo(r.Right.Index, 0), dropped, passed))
	seen.expect(passed)
	seen.refuse(dropped)
}

// What the kernel would not forward is refused by name, and taken again once it would.
func TestForwardErrors(t *testing.T) {
	needs(t)
	nettest.Need(t, nettest.Program("ip", "iproute2"))
	r := nettest.NewRouted(t)
	in := openIn(t, r.Router, Config{Layer: divertdrv.NetworkForward})
	for _, f := range families {
		src, dst := r.Client.Addr(f.like), r.Server.Addr(f.like)
		far := netip.MustParseAddr("198.51.100.1")
		if f.like.Is6() {
			far = netip.MustParseAddr("2001:db8::1")
		}
		good := udp(t, src, dst, 5000, nil)
		for name, c := range map[string]struct {
			set  func(*divertdrv.Address)
			data []byte
			want error
		}{
			"no way to the destination": {nil, udp(t, src, far, 5000, nil), divertdrv.ErrUnreachable},
			"no way to the source":      {nil, udp(t, far, dst, 5000, nil), divertdrv.ErrUnreachable},
			"another way than named":    {forwardTo(r.Left.Index, 0), good, divertdrv.ErrUnreachable},
			"to this host":              {nil, udp(t, src, r.Right.Addr(f.like), 5000, nil), divertdrv.ErrUnreachable},
			"from this host":            {nil, udp(t, r.Left.Addr(f.like), dst, 5000, nil), divertdrv.ErrUnreachable},
			"an interface not there":    {forwardTo(0, 9999), good, divertdrv.ErrUnreachable},
			"no hop":                    {nil, hops(t, src, dst, 0), divertdrv.ErrHopLimit},
			"over 65,535 bytes":         {nil, udp(t, r.Client.V6, r.Server.V6, 5000, make([]byte, 65488)), divertdrv.ErrTooBig},
		} {
			ps := append(packets(nil, good), packets(c.set, c.data)...)
			if n, err := in.Inject(ps); n != 1 || !errors.Is(err, c.want) {
				t.Errorf("%s, %s: %d, %v", f.name, name, n, err)
			}
		}
		sysctl := "ipv4/ip_forward"
		if f.like.Is6() {
			sysctl = "ipv6/conf/all/forwarding"
		}
		r.Router.Sysctl(sysctl, "0")
		if n, err := in.Inject(packets(nil, good)); n != 0 || !errors.Is(err, divertdrv.ErrUnreachable) {
			t.Errorf("%s, not forwarding: %d, %v", f.name, n, err)
		}
		r.Router.Sysctl(sysctl, "1")
		mustInject(t, in, packets(nil, good))
		family := map[bool]string{true: "-6", false: "-4"}[f.like.Is6()]
		r.Router.Command("ip", family, "route", "add", far.String(), "via", dst.String())
		mustInject(t, in, packets(nil, udp(t, src, far, 5000, nil)))
	}
	r.Router.Sysctl("ipv4/conf/all/rp_filter", "1")
	if _, err := in.Inject(packets(forwardTo(0, r.Right.Index), udp(t, r.Client.V4, r.Server.V4, 5000, nil))); !errors.Is(err, divertdrv.ErrUnreachable) {
		t.Errorf("rp_filter: %v", err)
	}
}

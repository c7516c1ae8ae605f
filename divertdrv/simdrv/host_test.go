package simdrv

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/wire"
)

// router is a host between two networks, with a way to all others.
func router(change ...func(*Config)) (s *Stack, out, host *[]seen) {
	out, host = new([]seen), new([]seen)
	c := Config{
		Forwarding: true,
		Interfaces: []Interface{
			{IfIdx: 1, SubIfIdx: 4, Addrs: []netip.Prefix{netip.MustParsePrefix("192.0.2.10/24"), netip.MustParsePrefix("2001:db8:1::10/64")}},
			{IfIdx: 2, MTU: 600, Addrs: []netip.Prefix{netip.MustParsePrefix("198.51.100.10/24")}},
			{IfIdx: 5, Default: true},
		},
		OnWire: record(out), OnHost: record(host),
	}
	for _, f := range change {
		f(&c)
	}
	return New(c), out, host
}

func between(src, dst string, n int) []byte {
	return udpBetween(netip.AddrPortFrom(netip.MustParseAddr(src), 1), netip.AddrPortFrom(netip.MustParseAddr(dst), 2), n)
}

func TestRoutes(t *testing.T) {
	for _, c := range []struct {
		name     string
		enter    func(*Stack, []byte) error
		to       string
		layer    divertdrv.Layer
		outbound bool
		loopback bool
		ifIdx    uint32
		subIfIdx uint32
	}{
		{"to a neighbour", (*Stack).Send, "192.0.2.1", addr.Network, true, false, 1, 4},
		{"to the other side", (*Stack).Send, "198.51.100.7", addr.Network, true, false, 2, 0},
		{"to the rest of the world", (*Stack).Send, "203.0.113.1", addr.Network, true, false, 5, 0},
		{"to itself", (*Stack).Send, "198.51.100.10", addr.Network, true, true, 2, 0},
		{"to its loopback", (*Stack).Send, "127.0.0.1", addr.Network, true, true, 1, 4},
		{"from a neighbour", (*Stack).Receive, "192.0.2.10", addr.Network, false, false, 1, 4},
		{"from the other side", onSecond, "198.51.100.10", addr.Network, false, false, 2, 0},
		{"for its other address", onSecond, "192.0.2.10", addr.Network, false, false, 2, 0},
		{"for all", (*Stack).Receive, "255.255.255.255", addr.Network, false, false, 1, 4},
		{"for a group", (*Stack).Receive, "224.0.0.1", addr.Network, false, false, 1, 4},
		{"for others", (*Stack).Receive, "198.51.100.7", addr.NetworkForward, true, false, 2, 0},
		{"for the rest of the world", onSecond, "203.0.113.1", addr.NetworkForward, true, false, 5, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, out, host := router()
			h := openAt(t, s, "true", c.layer, divertdrv.Options{})
			must(t, c.enter(s, between("203.0.113.9", c.to, 5)))
			b := recv(t, h, 1)
			if a := b.Packets()[0].Addr; a.Outbound() != c.outbound || a.Loopback() != c.loopback || a.IfIdx() != c.ifIdx || a.SubIfIdx() != c.subIfIdx {
				t.Errorf("outbound %v, loopback %v, interface %d.%d", a.Outbound(), a.Loopback(), a.IfIdx(), a.SubIfIdx())
			}
			pass(t, h, b)
			toHost := !c.outbound || c.loopback
			if len(*host) != count(toHost) || len(*out) != count(!toHost) {
				t.Errorf("%d packets to the host, %d to the wire", len(*host), len(*out))
			}
			if c.layer == addr.NetworkForward && ((*out)[0].data[8] != 63 || (*out)[0].addr.IfIdx() != c.ifIdx) {
				t.Errorf("forwarded with TTL %d by %d", (*out)[0].data[8], (*out)[0].addr.IfIdx())
			}
		})
	}
}

func onSecond(s *Stack, data []byte) error { return s.ReceiveOn(2, data) }

func count(one bool) int {
	if one {
		return 1
	}
	return 0
}

func TestNoSuchInterface(t *testing.T) {
	s, _, _ := router()
	if err := s.ReceiveOn(9, udp4(1)); !errors.Is(err, divertdrv.ErrInvalid) {
		t.Errorf("ReceiveOn: %v", err)
	}
	for _, l := range []divertdrv.Layer{addr.Network, addr.NetworkForward} {
		h := openAt(t, s, "true", l, divertdrv.Options{})
		var a divertdrv.Address
		for idx, want := range map[uint32]error{0: divertdrv.ErrInvalid, 9: divertdrv.ErrInvalid, 2: nil} {
			a.SetInterface(idx, 0)
			if _, err := h.Inject([]divertdrv.Packet{*divertdrv.NewPacket(a, between("203.0.113.9", "192.0.2.10", 5))}); !errors.Is(err, want) {
				t.Errorf("Inject at interface %d of layer %v: %v, want %v", idx, l, err, want)
			}
		}
	}
}

// WINDIVERT_ADDRESS, on send: what is injected outbound is routed, whatever its Address says, and loops back if it must.
func TestInjectedIsRouted(t *testing.T) {
	s, out, host := router()
	low := open(t, s, "true", divertdrv.Options{Priority: -1})
	h := open(t, s, "true", divertdrv.Options{})
	var a divertdrv.Address
	a.SetOutbound(true)
	a.SetInterface(77, 78)
	for i, to := range []string{"198.51.100.7", "198.51.100.10"} {
		a.SetLoopback(i == 0) // ignored
		if _, err := h.Inject([]divertdrv.Packet{*divertdrv.NewPacket(a, between("192.0.2.10", to, 5))}); err != nil {
			t.Fatal(err)
		}
	}
	b := recv(t, low, 2)
	for i, p := range b.Packets() {
		if p.Addr.IfIdx() != 2 || p.Addr.SubIfIdx() != 0 || p.Addr.Loopback() != (i == 1) {
			t.Errorf("packet %d: interface %d, loopback %v", i, p.Addr.IfIdx(), p.Addr.Loopback())
		}
	}
	pass(t, low, b)
	if len(*out) != 1 || len(*host) != 1 {
		t.Errorf("%d to the wire, %d to the host", len(*out), len(*host))
	}
}

// A changed destination decides the way (packet-inspection-points: "a receive-injected packet … goes to forwarding").
func TestChangedDestinationDecides(t *testing.T) {
	for _, c := range []struct {
		name    string
		enter   func(*Stack, []byte) error
		to, new string
		host    int
		ifIdx   uint32 // of the wire
		forward int    // seen at the forward layer
	}{
		{"out, to another network", (*Stack).Send, "192.0.2.1", "198.51.100.7", 0, 2, 0},
		{"out, to itself", (*Stack).Send, "192.0.2.1", "192.0.2.10", 1, 0, 0},
		{"in, for others", (*Stack).Receive, "192.0.2.10", "198.51.100.7", 0, 2, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, out, host := router()
			h := open(t, s, "true", divertdrv.Options{})
			forward := openAt(t, s, "true", addr.NetworkForward, divertdrv.Options{Flags: divertdrv.Sniff})
			must(t, c.enter(s, between("203.0.113.9", c.to, 5)))
			b := recv(t, h, 1)
			dst := netip.MustParseAddr(c.new).As4()
			copy(b.Packets()[0].Edit()[16:], dst[:])
			pass(t, h, b)
			if len(*host) != c.host || len(*out) != 1-c.host || c.host == 0 && (*out)[0].addr.IfIdx() != c.ifIdx {
				t.Errorf("%d to the host, wire %+v", len(*host), *out)
			}
			s.End()
			if c.forward > 0 {
				pass(t, forward, recv(t, forward, c.forward))
			}
			if err := forward.Recv(divertdrv.NewBatch(1, 100)); !errors.Is(err, divertdrv.ErrShutdown) {
				t.Errorf("forward: %v", err)
			}
			if st := s.Stats(); st.Entered != uint64(1+c.forward) || st.Left != st.Entered {
				t.Errorf("stats %+v", st)
			}
		})
	}
}

// A router ages what it forwards, cuts what may be cut, and answers for nothing but counts.
func TestForwardingLimits(t *testing.T) {
	s, out, _ := router()
	old, mustNot := between("203.0.113.9", "198.51.100.7", 5), between("203.0.113.9", "198.51.100.7", 900)
	old[8], mustNot[6] = 1, 0x40
	for _, data := range [][]byte{old, mustNot} {
		wire.CalcChecksums(data, 0)
	}
	if err := s.Receive(old); !errors.Is(err, divertdrv.ErrHopLimit) {
		t.Errorf("hop limit: %v", err)
	}
	if err := s.Receive(mustNot); !errors.Is(err, divertdrv.ErrTooBig) {
		t.Errorf("too big: %v", err)
	}
	must(t, s.Receive(between("203.0.113.9", "198.51.100.7", 900)))
	if st := s.Stats(); st.HopLimit != 1 || st.TooBig != 1 || st.Cut != 1 || st.Refused != 2 || len(*out) != 2 {
		t.Errorf("stats %+v, %d left", st, len(*out))
	}
	var h wire.Headers
	for _, p := range *out {
		if wire.Parse(p.data, &h); len(p.data) > 600 || p.data[8] != 63 {
			t.Errorf("%d bytes, TTL %d", len(p.data), p.data[8])
		}
		if ip, _ := wire.Verify(p.data, &h); ip != wire.SumGood {
			t.Errorf("IP checksum is %v", ip)
		}
	}
}

// What waits at the network layer may still be for others: the forward layer does not end before it has gone.
func TestForwardLayerEndsLast(t *testing.T) {
	s, out, _ := router()
	h := open(t, s, "true", divertdrv.Options{})
	forward := openAt(t, s, "true", addr.NetworkForward, divertdrv.Options{})
	must(t, s.Receive(between("203.0.113.9", "192.0.2.10", 5)))
	b := recv(t, h, 1)
	s.End()
	copy(b.Packets()[0].Edit()[16:], []byte{198, 51, 100, 7})
	pass(t, h, b)
	pass(t, forward, recv(t, forward, 1))
	if len(*out) != 1 {
		t.Errorf("%d left", len(*out))
	}
}

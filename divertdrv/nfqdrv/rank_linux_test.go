package nfqdrv_test

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/internal/nettest"
)

// What a handle injects is seen once by each lower handle, and by no other, on each way in: outbound, inbound on an interface with
// link addresses and on one without, forward.
func TestInjectedIsSeenBelow(t *testing.T) {
	nettest.Need(t, nettest.Root)
	net := nettest.NewRouted(t)
	d := driverIn(net.Router)
	tun := nettest.Tun(t, net.Router)
	const n, port = 20, 7
	for _, c := range []struct {
		name     string
		layer    divertdrv.Layer
		src, dst netip.Addr
		set      func(a *divertdrv.Address)
	}{
		{"outbound", divertdrv.Network, net.Right.V4, net.Server.V4, func(a *divertdrv.Address) { a.SetOutbound(true) }},
		{"outbound, IPv6", divertdrv.Network, net.Right.V6, net.Server.V6, func(a *divertdrv.Address) { a.SetOutbound(true) }},
		{"inbound", divertdrv.Network, net.Client.V4, net.Left.V4, on(net.Left.Index)},
		{"inbound, IPv6", divertdrv.Network, net.Client.V6, net.Left.V6, on(net.Left.Index)},
		{"inbound without link addresses", divertdrv.Network, net.Client.V4, net.Left.V4, on(tun)},
		{"inbound without link addresses, IPv6", divertdrv.Network, net.Client.V6, net.Left.V6, on(tun)},
		{"forward", divertdrv.NetworkForward, net.Client.V4, net.Server.V4, on(net.Right.Index)},
		{"forward, IPv6", divertdrv.NetworkForward, net.Client.V6, net.Server.V6, on(net.Right.Index)},
	} {
		t.Run(c.name, func(t *testing.T) {
			filter := fmt.Sprintf("udp.DstPort == %d", port)
			at := func(priority int16) *divertdrv.Handle {
				return openAt(t, d, filter, c.layer, divertdrv.Options{Priority: priority})
			}
			seen := map[string]*divertdrv.Handle{"above": at(3), "older": at(2)}
			own := at(2)
			seen["newer"], seen["below"], seen["lowest"] = at(2), at(1), at(-5)
			ears := divertdrv.NetworkForward
			if c.layer == ears {
				ears = divertdrv.Network
			}
			seen["other layer"] = openAt(t, d, filter, ears, divertdrv.Options{})
			for _, h := range seen {
				relay(t, h, nil)
			}
			relay(t, own, nil)
			sink := nettest.ListenUDP(t, sinkOf(net, c.dst), netip.AddrPortFrom(c.dst, port))
			inject(t, own, n, c.src, c.dst, port, c.set)
			if got := sink.Wait(n); got.Received != n || got.Duplicates != 0 {
				t.Fatalf("arrived: %+v", got)
			}
			for name, h := range seen {
				want := uint64(0)
				if name == "older" || name == "below" || name == "lowest" {
					want = n
				}
				if st := h.Stats(); st.Received != want {
					t.Errorf("%s received %d, want %d", name, st.Received, want)
				}
			}
			if st := own.Stats(); st.Received != 0 || st.Injected != n || st.Completed != n {
				t.Errorf("own: %+v", st)
			}
		})
	}
}

func on(index int) func(a *divertdrv.Address) {
	return func(a *divertdrv.Address) { a.SetInterface(uint32(index), 0) }
}

func sinkOf(net *nettest.Routed, dst netip.Addr) *nettest.Namespace {
	if dst == net.Server.Addr(dst) {
		return net.Server.NS
	}
	return net.Router
}

// inject puts in n datagrams as nettest numbers them, so that its Sink counts them.
func inject(t *testing.T, h *divertdrv.Handle, n int, src, dst netip.Addr, port uint16, set func(*divertdrv.Address)) {
	t.Helper()
	var ps []divertdrv.Packet
	for i := range n {
		var a divertdrv.Address
		set(&a)
		ps = append(ps, *divertdrv.NewPacket(a, numbered(src, dst, port, uint32(i))))
	}
	if got, err := h.Inject(ps); got != n || err != nil {
		t.Fatalf("injected %d of %d: %v", got, n, err)
	}
}

// numbered is a datagram of a nettest.Stream with the least payload; its checksums are owed.
func numbered(src, dst netip.Addr, port uint16, n uint32) []byte {
	const udpLen, protocol, hops = wire.UDPHeaderLen + nettest.StreamHeader, 17, 64
	var b []byte
	if src.Is4() {
		b = append(b, 0x45, 0, 0, wire.IPv4HeaderLen+udpLen, 0, 1, 0, 0, hops, protocol, 0, 0)
	} else {
		b = append(b, 0x60, 0, 0, 0, 0, udpLen, protocol, hops)
	}
	b = append(append(b, src.AsSlice()...), dst.AsSlice()...)
	b = binary.BigEndian.AppendUint16(b, 4000)
	b = binary.BigEndian.AppendUint16(b, port)
	b = append(b, 0, udpLen, 0, 0)
	b = binary.BigEndian.AppendUint32(b, n)
	return binary.BigEndian.AppendUint32(b, nettest.StreamHeader)
}

package simdrv

import (
	"bytes"
	"errors"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/wire"
)

func TestWinDivertAddress(t *testing.T) {
	runPoints(t, []point{
		{"2 recv: loopback is seen once, outbound, and never inbound", loopbackOnce},
		{"2 recv: Sniffed is set on copies only", sniffedCopies},
		{"2 send: a checksum that is not final is computed, one that is is trusted", checksumFlags},
		{"2 send: an ICMP checksum is never computed", icmpChecksum},
		{"2 send: Sniffed, Loopback, Layer, Event and IPv6 are ignored", ignoredOnSend},
		{"2 send: Outbound chooses between the send and the receive path", outboundChooses},
		{"2 send: an impostor costs one hop, and none is left at 1", impostorHops},
		{"2 recv: what another driver injected is an impostor until it was injected again", impostorSeen},
	})
}

func loopbackOnce(t *testing.T) {
	x := newBench(t)
	in, all := x.open("inbound", 1, 0), x.open("loopback", 0, 0)
	must(t, x.Loop(udp4(1)))
	b := recv(t, all, 1)
	if a := b.Packets()[0].Addr; !a.Outbound() || !a.Loopback() {
		t.Errorf("address %+v", a)
	}
	pass(t, all, b)
	x.left(0, 1)
	if st := in.Stats(); st.Received+st.Lost != 0 || waits(x.Stack, all) != 0 {
		t.Errorf("seen inbound: %+v", st)
	}
}

func sniffedCopies(t *testing.T) {
	x := newBench(t)
	copies, h := x.open("true", 1, divertdrv.Sniff), x.open("true", 0, 0)
	must(t, x.Send(udp4(1)))
	for _, c := range []struct {
		h    *divertdrv.Handle
		want bool
	}{{copies, true}, {h, false}} {
		b := recv(t, c.h, 1)
		if got := b.Packets()[0].Addr.Sniffed(); got != c.want {
			t.Errorf("Sniffed %v, want %v", got, c.want)
		}
		pass(t, c.h, b)
	}
	x.left(1, 0)
}

func checksumFlags(t *testing.T) {
	x := newBench(t)
	h := x.open("false", 0, 0)
	for _, good := range [][]byte{udp4(9), udp6(9), tcpBetween(ours, theirs, wire.SYN, 1, 0)} {
		bad := bytes.Clone(good)
		var hd wire.Headers
		wire.Parse(bad, &hd)
		bad[len(bad)-1] ^= 1 // the transport's sum is stale; of TCP it is the urgent pointer that changed
		if hd.Version == 4 {
			bad[10] ^= 1
		}
		for _, final := range []bool{true, false} {
			x.out = nil
			given := bytes.Clone(bad)
			if _, err := h.Inject(outgoing(given, final)); err != nil {
				t.Fatal(err)
			}
			ip, transport := wire.Verify(x.out[0].data, &hd)
			if right := ip != wire.SumBad && transport == wire.SumGood; right == final {
				t.Errorf("%d bytes of IPv%d, final %v: IP %v, transport %v", len(bad), hd.Version, final, ip, transport)
			}
			if final && !bytes.Equal(x.out[0].data, bad) {
				t.Error("what is trusted was changed")
			}
		}
	}
}

// ping is an ICMP echo request with a wrong checksum.
func ping() []byte {
	b := make([]byte, 36)
	b[0], b[3], b[8], b[9], b[20], b[22] = 0x45, 36, 64, wire.ProtoICMP, 8, 0x12
	return b
}

func icmpChecksum(t *testing.T) {
	x := newBench(t)
	h := x.open("false", 0, 0)
	if _, err := h.Inject(outgoing(ping(), false)); err != nil {
		t.Fatal(err)
	}
	var hd wire.Headers
	wire.Parse(x.out[0].data, &hd)
	if ip, icmp := wire.Verify(x.out[0].data, &hd); ip != wire.SumGood || icmp != wire.SumBad {
		t.Errorf("IP %v, ICMP %v", ip, icmp)
	}
}

func ignoredOnSend(t *testing.T) {
	x := newBench(t)
	h, low := x.open("false", 0, 0), x.open("true", -1, 0)
	for _, data := range [][]byte{udp4(1), udp6(1)} {
		p := outgoing(data, true)
		a := p[0].Addr
		a.SetSniffed(true)
		a.SetIPv6(data[0]>>4 == 4)
		a.SetLayer(addr.LayerSocket, addr.EventClose)
		if _, err := h.Inject(p); err != nil {
			t.Fatal(err)
		}
		b := recv(t, low, 1)
		if a := b.Packets()[0].Addr; a.Sniffed() || a.IPv6() != (data[0]>>4 == 6) || a.Layer() != addr.Network || a.Event() != addr.EventPacket {
			t.Errorf("address %+v", a)
		}
		pass(t, low, b)
	}
	x.left(2, 0) // for Loopback see TestInjectedIsRouted
}

func outboundChooses(t *testing.T) {
	x := newBench(t)
	h := x.open("false", 0, 0)
	p := outgoing(udp4(1), true)
	_, err := h.Inject(p)
	must(t, err)
	x.left(1, 0)
	p[0].Addr.SetOutbound(false)
	p[0].Addr.SetInterface(DefaultIfIdx, 0)
	_, err = h.Inject(p)
	must(t, err)
	x.left(1, 1)
}

func impostorHops(t *testing.T) {
	for _, data := range [][]byte{udp4(1), udp6(1)} {
		at := 8 // TTL
		if data[0]>>4 == 6 {
			at = 7 // hop limit
		}
		for _, hops := range []byte{64, 2, 1, 0} {
			x := newBench(t)
			h := x.open("false", 0, 0)
			data[at] = hops
			wire.CalcChecksums(data, 0)
			p := outgoing(bytes.Clone(data), true)
			p[0].Addr.SetImpostor(true)
			if _, err := h.Inject(p); hops <= 1 {
				if !errors.Is(err, divertdrv.ErrHopLimit) || len(x.out) != 0 {
					t.Errorf("%d hops: %v", hops, err)
				}
				continue
			}
			x.left(1, 0)
			var hd wire.Headers
			wire.Parse(x.out[0].data, &hd)
			if ip, _ := wire.Verify(x.out[0].data, &hd); x.out[0].data[at] != hops-1 || ip == wire.SumBad || p[0].Data[at] != hops {
				t.Errorf("%d hops: left with %d, IP checksum %v; the caller's is %d", hops, x.out[0].data[at], ip, p[0].Data[at])
			}
		}
	}
}

func impostorSeen(t *testing.T) {
	x := newBench(t)
	high, low := x.open("impostor", 1, 0), x.open("not impostor", 0, 0)
	var a divertdrv.Address
	a.SetOutbound(true)
	a.SetImpostor(true)
	a.SetChecksums(true)
	must(t, x.Enter(&a, udp4(1)))
	b := recv(t, high, 1)
	p := b.Packets()[0].Clone()
	must(t, high.Complete(b)) // dropped: the clone goes instead
	_, err := high.Inject([]divertdrv.Packet{*p})
	must(t, err)
	b = recv(t, low, 1)
	if ttl := b.Packets()[0].Data[8]; ttl != 63 {
		t.Errorf("TTL %d", ttl)
	}
	pass(t, low, b)
	x.left(1, 0)
}

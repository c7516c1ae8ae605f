package inject_test

import (
	"testing"
	"time"

	"gvisor.dev/gvisor/pkg/tcpip/checksum"
	"gvisor.dev/gvisor/pkg/tcpip/header"
	"pgregory.net/rapid"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/inject"
	"github.com/weirnet/weir/internal/clock"
)

// valid is what gvisor says of a packet's checksums; IPv6 has none in its header.
func valid(t testing.TB, b []byte) (ip, transport bool) {
	t.Helper()
	ip = true
	var network header.Network = header.IPv6(b)
	if b[0]>>4 == 4 {
		ip, network = header.IPv4(b).IsChecksumValid(), header.IPv4(b)
	}
	rest := network.Payload()
	src, dst := network.SourceAddress(), network.DestinationAddress()
	switch network.TransportProtocol() {
	case header.TCPProtocolNumber:
		tcp := header.TCP(rest)
		data := tcp.Payload()
		return ip, tcp.IsChecksumValid(src, dst, checksum.Checksum(data, 0), uint16(len(data)))
	case header.UDPProtocolNumber:
		udp := header.UDP(rest)
		return ip, udp.IsChecksumValid(src, dst, checksum.Checksum(udp.Payload(), 0))
	case header.ICMPv4ProtocolNumber:
		return ip, checksum.Checksum(rest, 0) == 0xffff
	case header.ICMPv6ProtocolNumber:
		pseudo := header.PseudoHeaderChecksum(header.ICMPv6ProtocolNumber, src, dst, uint16(len(rest)))
		return ip, checksum.Checksum(rest, pseudo) == 0xffff
	}
	t.Fatalf("protocol %d", network.TransportProtocol())
	return false, false
}

// rigs are one host for each path, with one clock.
func rigs(t testing.TB) (v *clock.Virtual, all [3]*rig) {
	t.Helper()
	v = clock.NewVirtual(time.Unix(1, 0))
	for path := range all {
		layer := divertdrv.Network
		if inject.Path(path) == inject.Forward {
			layer = divertdrv.NetworkForward
		}
		all[path] = newRigAt(t, layer, simdrv.Config{HeaderAlign: 8}, inject.Config{Clock: v})
	}
	return v, all
}

func (r *rig) out(path inject.Path) []seen {
	if path == inject.Receive {
		return r.host
	}
	return r.wire
}

// Considerations 5 and 7, for every kind of header, on all paths: what goes in verifies by an independent routine, unless it was
// corrupt before and nobody may make it right.
func TestInjectedPacketsVerify(t *testing.T) {
	v, all := rigs(t)
	var h wire.Headers
	rapid.Check(t, func(rt *rapid.T) {
		p := plans.Draw(rt, "plan")
		r := all[p.path]
		r.wire, r.host = nil, nil
		pkt := p.packet(t)
		if h := pkt.Headers(); h.Transport == wire.UDP && h.UDP(pkt.Data).Checksum() == 0 {
			rt.Skip("gopacket stores a computed 0 as it is, which says that there is no checksum")
		}
		if err := r.j.Inject(nil, inject.Injection{Packet: pkt, Path: p.path}); err != nil {
			rt.Fatal(err)
		}
		v.Advance(2 * time.Second) // the next one may be the same
		got := r.out(p.path)[0]    // the first segment, if it had to be cut
		if wire.Parse(got.data, &h); h.Fragment {
			return // what the checksum covers is not all there
		}
		wantIP, wantTransport := p.wants()
		if ip, transport := valid(t, got.data); ip != wantIP || transport != wantTransport {
			rt.Fatalf("IP %v, transport %v, want %v, %v: % x", ip, transport, wantIP, wantTransport, got.data)
		}
		if p.path != inject.Receive && got.pointer%8 != 0 {
			rt.Fatalf("at %#x", got.pointer)
		}
	})
	for _, r := range all {
		r.close(t)
	}
}

// Corruption is not laundered, of no transport and on no path: a checksum that was wrong stays wrong by as much.
func TestNoLaundering(t *testing.T) {
	v, all := rigs(t)
	for _, v6 := range []bool{false, true} {
		for _, proto := range []uint8{wire.ProtoTCP, wire.ProtoUDP, wire.ProtoICMP} {
			for path, r := range all {
				for _, edit := range []bool{false, true} {
					p := plan{shape: shape{v6: v6, proto: proto, payload: 99}, path: inject.Path(path), final: true, damage: 0x1234, edit: edit, grow: 3}
					r.wire, r.host = nil, nil
					pkt := p.packet(t)
					was := pkt.Wrong()
					if err := r.j.Inject(nil, inject.Injection{Packet: pkt, Path: p.path}); err != nil {
						t.Fatal(err)
					}
					v.Advance(2 * time.Second)
					got := r.out(p.path)[0].data
					var h wire.Headers
					wire.Parse(got, &h)
					if _, ok := valid(t, got); ok || edit && wire.Judge(got, &h).Transport != was.Transport {
						t.Errorf("%+v: valid %v, wrong by %#x, was %#x", p, ok, wire.Judge(got, &h).Transport, was.Transport)
					}
				}
			}
		}
	}
	for _, r := range all {
		r.close(t)
	}
}

// UDP's 0: see docs/injection.md. final says what the Address does, before and after are the checksum field.
func TestUDPZero(t *testing.T) {
	const right = 1 // any but 0
	for _, c := range []struct {
		name      string
		v6, final bool
		edit      bool
		want      int
	}{
		{"none, final, untouched: none", false, true, false, 0},
		{"none, final, changed: none", false, true, true, 0},
		{"none, not final: computed", false, false, false, right},
		{"none, not final, changed: computed", false, false, true, right},
		{"IPv6, none, final: the sender's own (RFC 6935)", true, true, true, 0},
		{"IPv6, none, not final: computed", true, false, false, right},
	} {
		_, all := rigs(t)
		p := plan{shape: shape{v6: c.v6, proto: wire.ProtoUDP, payload: 30}, final: c.final}
		pkt := p.packet(t)
		h := pkt.Headers()
		h.UDP(pkt.Data).SetChecksum(0)
		if c.edit {
			pkt.Edit()[h.PayloadOff]++
		}
		if err := all[0].j.Inject(nil, inject.Injection{Packet: pkt}); err != nil {
			t.Fatal(err)
		}
		got := all[0].wire[0].data
		sum := h.UDP(got).Checksum()
		if _, ok := valid(t, got); (sum == 0) != (c.want == 0) || !ok && sum != 0 {
			t.Errorf("%s: checksum %#04x, valid %v", c.name, sum, ok)
		}
		for _, r := range all {
			r.close(t)
		}
	}
}

// A checksum that is computed to 0 goes out as 0xffff.
func TestUDPComputedZero(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		for _, final := range []bool{false, true} {
			_, all := rigs(t)
			pkt := plan{shape: shape{v6: v6, proto: wire.ProtoUDP, payload: 30}, final: final}.packet(t)
			h := pkt.Headers()
			b := pkt.Edit()
			sum := h.UDP(b).Checksum()
			word := b[h.PayloadOff:]
			damage(word, sum, true) // makes the whole sum 0xffff with a field of 0
			if err := all[0].j.Inject(nil, inject.Injection{Packet: pkt}); err != nil {
				t.Fatal(err)
			}
			got := all[0].wire[0].data
			if _, ok := valid(t, got); h.UDP(got).Checksum() != 0xffff || !ok {
				t.Errorf("IPv6 %v, final %v: checksum %#04x, valid %v", v6, final, h.UDP(got).Checksum(), ok)
			}
			for _, r := range all {
				r.close(t)
			}
		}
	}
}

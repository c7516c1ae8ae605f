package flows

import (
	"slices"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/wire"
)

func TestDatagrams(t *testing.T) {
	w := newWatch(t, Config{})
	w.see(packet(host, peer, wire.ProtoUDP, datagram(5000, 53)), true)
	w.see(packet(peer, host, wire.ProtoUDP, datagram(53, 5000)), false)
	w.want("established out 17 192.0.2.10:5000 198.51.100.1:53")
	w.see(packet(peer6, host6, wire.ProtoUDP, datagram(7, 9)), false)
	w.see(packet(host6, peer6, wire.ProtoUDP, datagram(9, 7)), true)
	if a := w.told[0]; !a.IPv6() || a.Timestamp != w.now || a.Layer() != addr.LayerFlow {
		t.Errorf("address %+v", a)
	}
	w.want("established in 17 [2001:db8::10]:9 [2001:db8::1]:7")
	w.advance(udpIdle - 1)
	w.see(packet(peer, host, wire.ProtoUDP, datagram(53, 5000)), false)
	w.advance(1)
	w.want("deleted in 17 [2001:db8::10]:9 [2001:db8::1]:7")
	w.advance(udpIdle)
	w.want("deleted out 17 192.0.2.10:5000 198.51.100.1:53")
	if w.Len() != 0 || w.Due() != Never {
		t.Errorf("%d flows, due at %d", w.Len(), w.Due())
	}
}

// In place of ports ICMP has type and code; the identifier tells one ping from another. Errors are of other flows.
func TestICMP(t *testing.T) {
	w := newWatch(t, Config{})
	w.see(packet(host, peer, wire.ProtoICMP, []byte{8, 0, 0, 0, 0, 1, 0, 1}), true)
	w.see(packet(peer, host, wire.ProtoICMP, []byte{0, 0, 0, 0, 0, 1, 0, 1}), false)
	w.see(packet(host, peer, wire.ProtoICMP, []byte{8, 0, 0, 0, 0, 2, 0, 1}), true)
	w.see(packet(peer, host, wire.ProtoICMP, []byte{3, 3, 0, 0, 0, 0, 0, 0}), false)
	w.see(packet(peer6, host6, wire.ProtoICMPv6, []byte{1, 0, 0, 0, 0, 0, 0, 0}), false)
	w.see(packet(peer6, host6, wire.ProtoICMPv6, []byte{128, 0, 0, 0, 0, 3, 0, 0}), false)
	w.want("established out 1 192.0.2.10:8 198.51.100.1:0", "established out 1 192.0.2.10:8 198.51.100.1:0",
		"established in 58 [2001:db8::10]:128 [2001:db8::1]:0")
	w.advance(otherIdle)
	if len(w.told) != 3 {
		t.Errorf("%d deleted", len(w.told))
	}
}

func TestOtherProtocolsAndScraps(t *testing.T) {
	w := newWatch(t, Config{})
	gre := packet(host, peer, 47, make([]byte, 4))
	w.see(gre, true)
	w.see(gre, true)
	w.want("established out 47 192.0.2.10:0 198.51.100.1:0")
	w.see(nil, true)
	w.see([]byte{0x45, 1, 2}, true)
	later := packet(host, peer, wire.ProtoUDP, datagram(1, 2))
	later[7] = 3 // a fragment, not the first
	w.see(later, true)
	w.see(packet(host, peer, wire.ProtoTCP, make([]byte, 8)), true) // half a header
	w.want()
}

func TestHandshakeOfTheHost(t *testing.T) {
	w := newWatch(t, Config{})
	w.out(wire.SYN, 100, 0, 0)
	w.out(wire.SYN, 100, 0, 0) // again
	w.in(wire.ACK, 500, 101, 0)
	w.want()
	w.in(wire.SYN|wire.ACK, 500, 101, 0)
	w.in(wire.SYN|wire.ACK, 500, 101, 0)
	w.want("established out 6 192.0.2.10:4000 198.51.100.1:80")
	w.out(wire.ACK, 101, 501, 10)
	w.out(wire.FIN|wire.ACK, 111, 501, 5)
	w.in(wire.ACK, 501, 111, 0) // not of the FIN
	w.in(wire.FIN|wire.ACK, 501, 117, 0)
	w.want()
	w.out(wire.ACK, 117, 502, 0)
	w.want("deleted out 6 192.0.2.10:4000 198.51.100.1:80")
	w.out(wire.ACK, 117, 502, 0) // a late one starts nothing
	w.want()
}

func TestHandshakeOfThePeer(t *testing.T) {
	w := newWatch(t, Config{})
	w.in(wire.SYN, 500, 0, 0)
	w.in(wire.ACK, 501, 9, 0) // answers nothing
	w.out(wire.SYN|wire.ACK, 100, 501, 0)
	w.want()
	w.in(wire.ACK, 501, 101, 0)
	w.want("established in 6 192.0.2.10:4000 198.51.100.1:80")
	w.in(wire.RST, 501, 0, 0)
	w.want("deleted in 6 192.0.2.10:4000 198.51.100.1:80")
}

func TestConnectionsThatDoNotOpenOrEnd(t *testing.T) {
	w := newWatch(t, Config{})
	w.in(wire.ACK, 1, 1, 100)         // the middle of an old one
	w.in(wire.SYN|wire.ACK, 1, 1, 0)  // an answer to nothing
	w.out(wire.SYN|wire.RST, 1, 1, 0) // nonsense
	if w.Len() != 0 {
		t.Errorf("%d flows", w.Len())
	}
	w.out(wire.SYN, 1, 0, 0)
	w.in(wire.RST|wire.ACK, 0, 2, 0) // refused
	w.out(wire.SYN, 1, 0, 0)
	w.advance(handshakeIdle)
	w.want()
	if w.Len() != 0 {
		t.Errorf("%d flows", w.Len())
	}
	w.out(wire.SYN, 1, 0, 0)
	w.in(wire.SYN|wire.ACK, 1, 2, 0)
	w.advance(tcpIdle)
	w.want("established out 6 192.0.2.10:4000 198.51.100.1:80", "deleted out 6 192.0.2.10:4000 198.51.100.1:80")
}

// A packet from the host to itself belongs to a flow of each end.
func TestLoopback(t *testing.T) {
	w := newWatch(t, Config{})
	var a addr.Address
	a.SetOutbound(true)
	a.SetLoopback(true)
	data := packet(host, host, wire.ProtoUDP, datagram(1, 2))
	w.See(&a, data, true, w.now)
	w.See(&a, data, false, w.now)
	if !w.told[0].Loopback() || !w.told[1].Loopback() {
		t.Error("Loopback is not set")
	}
	w.want("established out 17 192.0.2.10:1 192.0.2.10:2", "established in 17 192.0.2.10:2 192.0.2.10:1")
}

func TestOwners(t *testing.T) {
	w := newWatch(t, Config{Owner: func(f *addr.Flow) uint64 {
		if f.Local.Port() == 5000 {
			f.EndpointID, f.ProcessID = 7, 42
		}
		return 0
	}})
	w.see(packet(host, peer, wire.ProtoUDP, datagram(5000, 53)), true)
	w.see(packet(host, peer, wire.ProtoUDP, datagram(5001, 53)), true)
	w.see(packet(host, peer, wire.ProtoICMP, []byte{8, 0, 0, 0, 0, 1, 0, 1}), true)
	for i, want := range []uint32{42, 0, 0} {
		if f := w.told[i].Flow(); f.ProcessID != want {
			t.Errorf("flow %d is of process %d", i, f.ProcessID)
		}
	}
	w.told = nil
	w.EndOf(7, w.now)
	w.want("deleted out 17 192.0.2.10:5000 198.51.100.1:53")
	w.EndOf(0, w.now) // whatever nobody owns
	w.want("deleted out 17 192.0.2.10:5001 198.51.100.1:53", "deleted out 1 192.0.2.10:8 198.51.100.1:0")
}

// A full table gives up what is least: what is being opened, then what was silent longest of the shortest-lived.
func TestEviction(t *testing.T) {
	w := newWatch(t, Config{Max: 3})
	w.out(wire.SYN, 1, 0, 0)
	w.in(wire.SYN|wire.ACK, 1, 2, 0)
	for port := range uint16(4) {
		w.advance(time.Second)
		w.see(packet(host, peer, wire.ProtoUDP, datagram(port, 53)), true)
	}
	w.in(wire.SYN, 1, 0, 0) // of the flow that is there
	w.see(packet(peer, host, wire.ProtoTCP, segment(81, 4000, wire.SYN, 1, 0, 0)), false)
	w.see(packet(peer, host, wire.ProtoTCP, segment(82, 4000, wire.SYN, 1, 0, 0)), false)
	if w.Len() != 3 || w.Evicted() != 4 {
		t.Errorf("%d flows, %d evicted", w.Len(), w.Evicted())
	}
	w.want("established out 6 192.0.2.10:4000 198.51.100.1:80",
		"established out 17 192.0.2.10:0 198.51.100.1:53", "established out 17 192.0.2.10:1 198.51.100.1:53",
		"deleted out 17 192.0.2.10:0 198.51.100.1:53", "established out 17 192.0.2.10:2 198.51.100.1:53",
		"deleted out 17 192.0.2.10:1 198.51.100.1:53", "established out 17 192.0.2.10:3 198.51.100.1:53",
		"deleted out 17 192.0.2.10:2 198.51.100.1:53")
}

func TestNoAllocations(t *testing.T) {
	w := New(Config{Max: 64, Tell: func(*addr.Address, uint64) {}})
	var a addr.Address
	var packets [][]byte
	for port := range uint16(128) {
		packets = append(packets, packet(host, peer, wire.ProtoUDP, datagram(port, 53)))
	}
	at := 0
	if n := testing.AllocsPerRun(1000, func() {
		w.See(&a, packets[at%128], true, int64(at))
		at++
	}); n != 0 {
		t.Errorf("%v allocations per packet", n)
	}
}

func BenchmarkSee(b *testing.B) {
	w := New(Config{Tell: func(*addr.Address, uint64) {}})
	var a addr.Address
	var packets [][]byte
	for port := range uint16(64) {
		packets = append(packets, packet(host, peer, wire.ProtoUDP, datagram(port, 53)))
	}
	for at := 0; b.Loop(); at++ {
		w.See(&a, packets[at%64], true, int64(at))
	}
}

// A flow keeps the note of its beginning.
func TestNotes(t *testing.T) {
	note := uint64(0)
	var told []uint64
	w := New(Config{
		Owner: func(*addr.Flow) uint64 { note++; return note },
		Tell:  func(_ *addr.Address, n uint64) { told = append(told, n) },
	})
	var a addr.Address
	for port := range uint16(2) {
		w.See(&a, packet(host, peer, wire.ProtoUDP, datagram(port, 53)), true, 0)
	}
	w.Expire(int64(udpIdle))
	if want := []uint64{1, 2, 1, 2}; !slices.Equal(told, want) {
		t.Errorf("notes %v, want %v", told, want)
	}
}

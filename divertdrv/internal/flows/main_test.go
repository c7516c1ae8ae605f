package flows

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/wire"
)

// watch is a Table on a clock of the test's and what it told.
type watch struct {
	*Table
	t    testing.TB
	now  int64
	told []addr.Address
}

func newWatch(t testing.TB, c Config) *watch {
	w := &watch{t: t, now: int64(time.Hour)}
	c.Tell = func(a *addr.Address, _ uint64) { w.told = append(w.told, *a) }
	w.Table = New(c)
	return w
}

var (
	host, peer   = netip.MustParseAddr("192.0.2.10"), netip.MustParseAddr("198.51.100.1")
	host6, peer6 = netip.MustParseAddr("2001:db8::10"), netip.MustParseAddr("2001:db8::1")
)

// packet is an IP packet from src to dst with so many bytes behind the transport header, which fill may write.
func packet(src, dst netip.Addr, proto uint8, transport []byte) []byte {
	var b []byte
	if src.Is4() {
		b = make([]byte, wire.IPv4HeaderLen, 80)
		b[0], b[8], b[9] = 0x45, 64, proto
		binary.BigEndian.PutUint16(b[2:], uint16(wire.IPv4HeaderLen+len(transport)))
		copy(b[12:], src.AsSlice())
		copy(b[16:], dst.AsSlice())
	} else {
		b = make([]byte, wire.IPv6HeaderLen, 80)
		b[0], b[6], b[7] = 0x60, proto, 64
		binary.BigEndian.PutUint16(b[4:], uint16(len(transport)))
		copy(b[8:], src.AsSlice())
		copy(b[24:], dst.AsSlice())
	}
	return append(b, transport...)
}

func datagram(from, to uint16) []byte {
	b := make([]byte, wire.UDPHeaderLen)
	binary.BigEndian.PutUint16(b, from)
	binary.BigEndian.PutUint16(b[2:], to)
	b[5] = wire.UDPHeaderLen
	return b
}

func segment(from, to uint16, flags wire.TCPFlags, seq, ack uint32, payload int) []byte {
	b := make([]byte, wire.TCPHeaderLen+payload)
	binary.BigEndian.PutUint16(b, from)
	binary.BigEndian.PutUint16(b[2:], to)
	binary.BigEndian.PutUint32(b[4:], seq)
	binary.BigEndian.PutUint32(b[8:], ack)
	b[12], b[13] = 5<<4, byte(flags)
	return b
}

// out and in are TCP segments between the host's port 4000 and the peer's 80.
func (w *watch) out(flags wire.TCPFlags, seq, ack uint32, payload int) {
	w.see(packet(host, peer, wire.ProtoTCP, segment(4000, 80, flags, seq, ack, payload)), true)
}

func (w *watch) in(flags wire.TCPFlags, seq, ack uint32, payload int) {
	w.see(packet(peer, host, wire.ProtoTCP, segment(80, 4000, flags, seq, ack, payload)), false)
}

func (w *watch) see(data []byte, outbound bool) {
	var a addr.Address
	a.SetOutbound(outbound)
	w.See(&a, data, outbound, w.now)
}

// advance moves the clock and lets fall due what does.
func (w *watch) advance(d time.Duration) {
	w.now += int64(d)
	if w.Due() <= w.now {
		w.Expire(w.now)
	}
}

// want compares what was told since it was asked last.
func (w *watch) want(events ...string) {
	w.t.Helper()
	var got []string
	for _, a := range w.told {
		got = append(got, line(&a))
	}
	if !slices.Equal(got, events) {
		w.t.Errorf("told %q\nwant %q", got, events)
	}
	w.told = nil
}

// line writes an event: what, the way, protocol, local and remote end.
func line(a *addr.Address) string {
	way := "in"
	if a.Outbound() {
		way = "out"
	}
	f := a.Flow()
	return fmt.Sprintf("%v %s %d %v %v", a.Event(), way, f.Protocol, f.Local, f.Remote)
}

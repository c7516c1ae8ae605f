package proc

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"

	"github.com/weirnet/weir/divertdrv/wire"
)

// put writes a row as IP Helper does.
func (s tableShape) put(r []byte, local, peer netip.AddrPort, owner uint32) {
	half := func(at int, v uint16) { binary.BigEndian.PutUint16(r[at:], v) }
	copy(r[s.local:], local.Addr().AsSlice())
	half(s.localPort, local.Port())
	if s.peer >= 0 {
		copy(r[s.peer:], peer.Addr().AsSlice())
		half(s.peerPort, peer.Port())
		if r[s.state] = 5; peer.Addr().IsUnspecified() { // established, or listening
			r[s.state] = stateListen
		}
	}
	binary.LittleEndian.PutUint32(r[s.owner:], owner)
}

// The tables of Windows, written and read back; rows without owner, and tables that are cut off.
func TestTables(t *testing.T) {
	for name, c := range map[string]struct {
		shape       tableShape
		local, peer string
	}{
		"TCP":          {tcp4Table, "10.0.0.1:5000", "1.2.3.4:443"},
		"TCP6":         {tcp6Table, "[fd00::1]:5000", "[fd00::2]:443"},
		"TCP listens":  {tcp4Table, "0.0.0.0:80", "0.0.0.0:4711"}, // whose peer is whatever was there
		"TCP6 listens": {tcp6Table, "[::]:80", "[::]:0"},
		"UDP":          {udp4Table, "10.0.0.1:53", ""},
		"UDP6":         {udp6Table, "[::]:53", ""},
	} {
		local := netip.MustParseAddrPort(c.local)
		var peer netip.AddrPort
		want := Key{Local: wire.EndpointFrom(local), Proto: c.shape.proto}
		if c.peer != "" {
			if peer = netip.MustParseAddrPort(c.peer); !peer.Addr().IsUnspecified() {
				want.Remote = wire.EndpointFrom(peer)
			}
		}
		b := make([]byte, 4+3*c.shape.size+100) // the buffer is larger than the table
		binary.LittleEndian.PutUint32(b, 3)
		c.shape.put(b[4:], local, peer, 4711)
		c.shape.put(b[4+c.shape.size:], local, peer, 0)
		c.shape.put(b[4+2*c.shape.size:], local, peer, 4712)
		got, err := c.shape.read(b)
		if err != nil || len(got) != 2 || got[0].Key != want || got[0].Owners[0] != 4711 || got[1].Owners[0] != 4712 {
			t.Errorf("%s: %+v, %v, want %+v", name, got, err, want)
		}
		for n := range 4 + 3*c.shape.size {
			if _, err := c.shape.read(b[:n]); !errors.Is(err, errTable) {
				t.Fatalf("%s: %d bytes: %v", name, n, err)
			}
		}
	}
}

func FuzzTables(f *testing.F) {
	f.Add([]byte{1, 0, 0, 0, 1, 2, 3, 4, 0, 80, 0, 0, 5, 0, 0, 0})
	f.Add([]byte{255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, s := range []tableShape{tcp4Table, tcp6Table, udp4Table, udp6Table} {
			sockets, err := s.read(b)
			if err != nil && sockets != nil || len(sockets) > len(b)/s.size {
				t.Fatalf("%d sockets of %d bytes, %v", len(sockets), len(b), err)
			}
		}
	})
}

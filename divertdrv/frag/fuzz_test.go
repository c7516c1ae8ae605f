package frag_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"testing"

	"github.com/weirnet/weir/divertdrv/frag"
	"github.com/weirnet/weir/divertdrv/wire"
)

// Any packets in any order keep the books right, the limits kept and each whole a packet: see owner. A script is packets, each
// behind its length in two bytes; a length of 0 lets a second pass.
func FuzzReassemble(f *testing.F) {
	for _, v6 := range []bool{false, true} {
		a, b, c := piece{0, 16, true, 'A'}.build(v6), piece{16, 8, true, 'B'}.build(v6), piece{24, 3, false, 'C'}.build(v6)
		f.Add(script(a, b, c))
		f.Add(script(c, nil, b, b, a))
		f.Add(script(a, piece{8, 16, true, 'X'}.build(v6), b, c, piece{0, 30, false, 'D'}.build(v6)))
		f.Add(script(withFirstOf(v6), a, b, c))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		o := newOwner(t, frag.Config{Packets: 4, Pieces: 6, Bytes: 1})
		for len(b) >= 2 {
			n := min(int(binary.BigEndian.Uint16(b)), len(b)-2)
			if n == 0 {
				o.now = o.now.Add(1e9)
			}
			o.add(b[2 : 2+n])
			b = b[2+n:]
		}
		o.Close()
		if o.check(); len(o.held) != 0 {
			t.Fatalf("%d tokens did not come back", len(o.held))
		}
	})
}

func script(packets ...[]byte) (b []byte) {
	for _, p := range packets {
		b = binary.BigEndian.AppendUint16(b, uint16(len(p)))
		b = append(b, p...)
	}
	return b
}

func withFirstOf(v6 bool) []byte {
	if b := (piece{0, 16, true, 'A'}).build(v6); v6 {
		return withExtension(b, wire.ProtoHopByHop, 1)
	}
	return tcpPacket(false, wire.ACK, 0, 100)
}

// Whatever is cut at all is cut to fragments that fit, and they make the packet again.
func FuzzFragment(f *testing.F) {
	f.Add(tcpPacket(false, wire.ACK, 0, 300), uint16(100), true)
	f.Add(tcpPacket(true, wire.ACK, 0, 3000), uint16(1280), true)
	f.Add(piece{80, 400, true, 'A'}.build(false), uint16(68), false)
	f.Add(withExtension(piece{0, 400, true, 'A'}.build(true), wire.ProtoRouting, 2), uint16(300), true)
	f.Fuzz(func(t *testing.T, b []byte, mtu uint16, sender bool) {
		var h wire.Headers
		wire.Parse(b, &h)
		l := frag.Limit{MTU: int(mtu), Sender: sender, ID: 99}
		o := newOwner(t, frag.Config{Pieces: 8192})
		var c frag.Cutter
		var res frag.Result
		n := 0
		err := c.Fragment(b, &h, l, func(p []byte) error {
			if n++; len(p) > l.MTU {
				t.Fatalf("%d bytes for an MTU of %d", len(p), l.MTU)
			}
			res = o.add(p)
			return nil
		})
		switch {
		case err != nil && n > 0:
			t.Fatalf("%v after %d fragments", err, n)
		case err == nil && n == 0:
			t.Fatal("nothing came out")
		case n < 2 || h.Fragment:
			return
		}
		want := slices.Clone(b[:h.Len])
		if h.Version == 4 {
			if ip := h.IPv4(want); ip.ID() == 0 {
				ip.SetID(99)
			}
			h.IPv4(want).SetChecksum(h.IPv4(res.Whole).Checksum())
		}
		if !bytes.Equal(res.Whole, want) {
			t.Fatalf("%v: got\n% x, want\n% x", res.Outcome, res.Whole, want)
		}
	})
}

// Segments carry the payload in order, and verify.
func FuzzSegment(f *testing.F) {
	f.Add(tcpPacket(false, wire.ACK|wire.FIN|wire.URG, 120, 300), uint16(100))
	f.Add(tcpPacket(true, wire.ACK|wire.CWR, 0, 300), uint16(7))
	f.Fuzz(func(t *testing.T, b []byte, mss uint16) {
		var h wire.Headers
		wire.Parse(b, &h)
		var c frag.Cutter
		var payload []byte
		n := 0
		err := c.Segment(b, &h, int(mss), func(s []byte) error {
			n++
			hs := parse(t, s)
			payload = append(payload, hs.Payload(s)...)
			if h.PayloadLen() <= int(mss) {
				return nil
			}
			if _, sum := wire.Verify(s, hs); sum == wire.SumBad || hs.PayloadLen() > int(mss) {
				t.Fatalf("segment %d: checksum %v, %d bytes", n, sum, hs.PayloadLen())
			}
			return nil
		})
		if err != nil && n > 0 || err == nil && !bytes.Equal(payload, h.Payload(b)) {
			t.Fatalf("%v after %d segments with %d bytes", err, n, len(payload))
		}
		if err != nil && !errors.Is(err, frag.ErrMalformed) && !errors.Is(err, frag.ErrNoSegments) && !errors.Is(err, frag.ErrNoSegmentSize) {
			t.Fatal(err)
		}
	})
}

package filter

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/weirnet/weir/divertdrv/addr"
)

func TestBinary(t *testing.T) {
	for _, tt := range []struct {
		layer     addr.Layer
		src, want string // words in hexadecimal, as numbers
	}{
		{0, "true", "7ffe0000 00007ffe 0 0 0 0"},
		{0, "false", "7fff0000 00007fff 0 0 0 0"},
		{0, "not tcp", "7ffe0008 00007fff 0 0 0 0"},
		{0, "tcp.DstPort >= 443", "7ffe2827 00007fff 1bb 0 0 0"},
		{0, "(tcp ? udp : ip)", "00010808 00000002 0 0 0 0  7ffe0809 00007fff 0 0 0 0  7ffe0805 00007fff 0 0 0 0"},
		{0, "ip.SrcAddr == 10.0.0.1", "7ffe0015 00007fff 0a000001 ffff 0 0"},
		{0, "ipv6.SrcAddr == 2001:db8::1", "7ffe001c 00007fff 1 0 0 20010db8"},
		{0, "packet16[-1] < 5", "7ffe1048 00007fff 5 fffffffe 0 0"},
		{0, "tcp.Payload32[2] == 5", "7ffe004c 00007fff 5 8 0 0"},
		{0, "timestamp > -4294967297", "7ffe2051 00017fff 1 1 0 0"},
		{2, "endpointId != 0x100000002", "7ffe0842 00007fff 2 1 0 0"},
		{4, "priority <= -5", "7ffe1845 00017fff 5 0 0 0"},
	} {
		p := mustParse(t, tt.src, tt.layer)
		got, err := p.Binary()
		if err != nil {
			t.Fatal(err)
		}
		var want []byte
		for _, w := range strings.Fields(tt.want) {
			v, err := strconv.ParseUint(w, 16, 32)
			if err != nil {
				t.Fatal(err)
			}
			want = binary.LittleEndian.AppendUint32(want, uint32(v))
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%q:\n got %x\nwant %x", tt.src, got, want)
		}
		sameFromBinary(t, p)
	}
}

// sameFromBinary reads back what Binary writes.
func sameFromBinary(t testing.TB, p *Program) {
	t.Helper()
	b, err := p.Binary()
	if err != nil {
		t.Fatal(err)
	}
	var opts []Option
	if p.compat22 {
		opts = []Option{Compat22()}
	}
	q, err := FromBinary(b, p.layer, opts...)
	if err != nil {
		t.Fatalf("%q: %v", p, err)
	}
	want, _ := p.Object()
	if got, _ := q.Object(); got != want || q.String() != want || q.Layer() != p.layer || q.compat22 != p.compat22 {
		t.Errorf("%q: read back as %s, want %s", p, got, want)
	}
	if again, err := q.Binary(); err != nil || !bytes.Equal(again, b) {
		t.Errorf("%q: written again as %x, %v, want %x", p, again, err, b)
	}
}

// TestBinaryVectors: every program of the vectors has the binary form of its object, but for what the driver refuses.
func TestBinaryVectors(t *testing.T) {
	refused := 0
	vectors(t, "compile.tsv.gz", 3, func(_ int, col []string) {
		n, _ := strconv.Atoi(col[0])
		for _, opts := range [][]Option{nil, {Compat22()}} {
			p, err := Parse(col[1], addr.Layer(n), opts...)
			if err != nil {
				continue
			}
			if _, err := p.Binary(); err != nil {
				refused++
				if _, err := Parse(col[1], addr.Layer(n)); err == nil {
					t.Errorf("%q is refused only in binary", col[1])
				}
				continue
			}
			sameFromBinary(t, p)
		}
	})
	t.Logf("%d refused as the driver would", refused)
}

// TestBinaryMatches: a program from its binary form gives the same answers.
func TestBinaryMatches(t *testing.T) {
	d := dice(rand.New(rand.NewPCG(7, 8)).IntN)
	for range 2000 {
		layer := addr.Layer(d(addr.Layers))
		a, pkt := d.event(layer), d.packet()
		_, src := d.filters(layer, &a, pkt).expr(2)
		for _, opts := range [][]Option{nil, {Compat22()}} {
			p, err := Parse(src, layer, opts...)
			if err != nil {
				continue
			}
			b, err := p.Binary()
			if err != nil {
				continue
			}
			q, err := FromBinary(b, layer, opts...)
			if err != nil {
				t.Fatal(err)
			}
			if p.Match(&a, pkt, nil) != q.Match(&a, pkt, nil) {
				t.Fatalf("%s %q differs on %x", layer, src, pkt)
			}
		}
	}
}

func TestBadBinary(t *testing.T) {
	const good = "0808ff7f ff7f0000 00000000 00000000 00000000 00000000" // tcp, both edges to reject
	words := func(s string) []byte {
		b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if _, err := FromBinary(words(good), addr.Network); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		layer     addr.Layer
		raw, want string
	}{
		{0, "", "not 0 bytes"},
		{0, good[:len(good)-2], "not 23 bytes"},
		{0, good + "00", "not 25 bytes"},
		{0, strings.Repeat(good, 256), "not 6144 bytes"},
		{4, good, "does not exist at layer reflect"},
		{0, "56" + good[2:], "no field 86"},
		{0, "080f" + good[4:], "no field 1800"},
		{0, "0830" + good[4:], "no operator 6"},
		{0, "0808 0000 ff7f0000" + good[17:], "an edge does not lead forward"},
		{0, "0808 0100 ff7f0000" + good[17:], "an edge does not lead forward"},
		{0, "0808 fd7f ff7f0000" + good[17:], "an edge does not lead forward"},
		{0, "0808 ffff ff7f0000" + good[17:], "an edge does not lead forward"},
		{0, "0808 ff7f 00000000" + good[17:], "an edge does not lead forward"},
		{0, good + "0808 0100 ff7f0000" + good[17:], "test 2 of 2: an edge does not lead forward"},
		{0, "0808ff7f ff7f0200" + good[17:], "the reserved bits are not zero"},
		{0, "0808ff7f ff7f0080" + good[17:], "the reserved bits are not zero"},
		{0, "0808ff7f ff7f0100" + good[17:], "-0 is no number to the driver"},
		{0, "0808ff7f ff7f0000 02000000" + good[26:], "tcp is at most 1"},
		{0, "2800ff7f ff7f0000 00000000 01000000 00000000 00000000", "word 1 of the constant of tcp.SeqNum is 0x1"},
		{0, "5100ff7f ff7f0100 01000000 00000000 01000000 00000000", "word 2 of the constant of timestamp is 0x1"},
		{0, "5100ff7f ff7f0000 01000000 00000080 00000000 00000000", "timestamp is at most"},
		{0, "1500ff7f ff7f0000 0100000a 00000000 00000000 00000000", "must be 0xffff"},
		{0, "1500ff7f ff7f0000 0100000a ffff0000 01000000 00000000", "word 2 of the constant of ip.SrcAddr is 0x1"},
		{0, "0c00ff7f ff7f0000 00010000" + good[26:], "ip.TOS is at most 255"},
		{0, "4700ff7f ff7f0000 00000000 ffff0100 00000000 00000000", "an index is out of bounds"},
		{0, "4900ff7f ff7f0000 00000000 fcff0000 00000000 00000000", "an index is out of bounds"}, // packet32[-3b]
		{0, "4900ff7f ff7f0000 00000000 ffffffff 00000000 00000000", "an index is out of bounds"},
		{0, "4900ff7f ff7f0000 00000000 ffff0000 01000000 00000000", "word 2 of the constant of packet32"},
	} {
		for _, opts := range [][]Option{nil, {Compat22()}} {
			_, err := FromBinary(words(tt.raw), tt.layer, opts...)
			var e *Error
			if !errors.As(err, &e) || e.Code != CodeBadObject || e.Pos != 0 {
				t.Errorf("%s: got %v", tt.raw, err)
			} else if !strings.Contains(e.Msg, tt.want) {
				t.Errorf("%s: got %s, want %s", tt.raw, e.Msg, tt.want)
			}
		}
	}
	for _, src := range []string{"timestamp > -0", "tcp.SeqNum == 0x100000000", "ip.TOS == 256"} {
		if _, err := mustParse(t, src, addr.Network, Compat22()).Binary(); errorColumn(err)[:15] != "error bad-token" {
			t.Errorf("%q: got %v", src, err)
		}
	}
}

// FuzzBinary: any bytes are refused or are a program that is written as the same bytes, ends on any packet, and is the program
// of its own object.
func FuzzBinary(f *testing.F) {
	for _, src := range []string{"true", mediumFilter, ranges(3, 2), "(tcp ? udp : ip)", "packet16[-9b] == 0x1f", "timestamp < -1"} {
		b, _ := mustParse(f, src, addr.Network).Binary()
		f.Add(b, uint8(0))
	}
	for src, layer := range map[string]addr.Layer{"endpointId == 5 or remoteAddr == 1.2.3.4": 3, "priority == -4 and layer == FLOW": 4} {
		b, _ := mustParse(f, src, layer).Binary()
		f.Add(b, uint8(layer))
	}
	f.Fuzz(func(t *testing.T, b []byte, l uint8) {
		layer := addr.Layer(l % addr.Layers)
		p, err := FromBinary(b, layer)
		if q, compatErr := FromBinary(b, layer, Compat22()); (err == nil) != (compatErr == nil) {
			t.Fatalf("%v, but %v under Compat22", err, compatErr)
		} else if err == nil {
			sameFromBinary(t, q)
		}
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Code != CodeBadObject || e.Pos != 0 || len(e.Error()) > 1000 {
				t.Fatalf("bad error %#v", err)
			}
			return
		}
		sameFromBinary(t, p)
		if again, _ := p.Binary(); !bytes.Equal(again, b) {
			t.Fatalf("%x was written again as %x", b, again)
		}
		q, err := Parse(p.String(), layer)
		if err != nil {
			t.Fatal(err)
		}
		sameFromBinary(t, q)
		a, pkt, h := hotPacket()
		if p.Match(&a, pkt, &h) != q.Match(&a, pkt, &h) {
			t.Fatalf("%s answers otherwise than its object", p)
		}
	})
}

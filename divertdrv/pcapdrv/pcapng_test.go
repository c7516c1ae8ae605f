package pcapdrv_test

import (
	"bytes"
	"errors"
	"math"
	"math/big"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/weirnet/weir/divertdrv/pcapdrv"
)

// Sections start anew, interfaces belong to their section, and what a reader of packets does not know is skipped.
func TestPcapngStructure(t *testing.T) {
	for name, o := range orders {
		n := &ng{order: o}
		data := rec{data: packetAB, wire: 1500}
		n.section(2, n.opt(1, bytes.Repeat([]byte("long comment "), 5000))).block(0x80000bad, []byte("whatever"))
		n.iface(276, 0, n.opt(1, make([]byte, 65535)), n.opt(9, []byte{9}), n.opt(14, o.AppendUint64(nil, 100)), n.opt(0, nil))
		n.iface(1, 32)
		n.enhanced(0, 7, data, n.opt(1, []byte("a packet that goes out")), n.opt(2, o.AppendUint32(nil, 2)), n.opt(0, nil))
		n.block(5, make([]byte, 12)).block(4, nil).obsolete(1, 8_000_000, data, n.opt(2, o.AppendUint32(nil, 1)))
		other := orders["big"]
		if name == "big" {
			other = orders["little"]
		}
		m := (&ng{order: other, b: n.b}).section(0).iface(101, uint32(len(packetAB)))
		m.simple(data).enhanced(0, 5, data)
		got, err := readAll(m.b)
		want := []pcapdrv.Frame{
			{Time: 100_000_000_007, Link: pcapdrv.LinkSLL2, Direction: pcapdrv.Outbound},
			{Time: 8_000_000_000, Link: pcapdrv.LinkEthernet, Direction: pcapdrv.Inbound},
			{Link: pcapdrv.LinkRaw},
			{Time: 5000, Link: pcapdrv.LinkRaw},
		}
		for i := range want {
			want[i].Data, want[i].WireLen = packetAB, 1500
		}
		if err != nil || !slices.EqualFunc(got, want, sameFrame) {
			t.Errorf("%s: %v\ngot  %+v\nwant %+v", name, err, got, want)
		}
	}
}

// Numbers that contradict each other end the file with an error behind the good frame, and reserve no memory.
func TestPcapngDamage(t *testing.T) {
	o := orders["little"]
	start := func() *ng { n := &ng{order: o}; return n.section(0).iface(101, 0).enhanced(0, 1, rec{data: packetAB}) }
	set := func(n *ng, at int, v uint32) []byte { o.PutUint32(n.b[at:], v); return n.b }
	good := len(start().b)
	packet := func() *ng { return start().enhanced(0, 2, rec{data: packetBA}) }
	for _, c := range []struct {
		name string
		file []byte
		is   error
		says string
	}{
		{"block length 0", set(packet(), good+4, 0), pcapdrv.ErrDamaged, "length 0"},
		{"block length 8", set(packet(), good+4, 8), pcapdrv.ErrDamaged, "length 8"},
		{"block length odd", set(packet(), good+4, 69), pcapdrv.ErrDamaged, "length 69"},
		{"block length 4 GiB", set(packet(), good+4, 0xfffffffc), pcapdrv.ErrTruncated, "of 4294967292 bytes"},
		{"skipped block of 4 GiB", set(start().block(99, nil), good+4, 0xfffffffc), pcapdrv.ErrTruncated, "of 4294967292 bytes"},
		{"trailing length", set(packet(), good+8+20+len(packetBA), 64), pcapdrv.ErrDamaged, "ends with 64"},
		{"captured 4 GiB", set(packet(), good+20, math.MaxUint32), pcapdrv.ErrDamaged, "claims 4294967295 bytes"},
		{"captured beyond the block", set(packet(), good+20, 2000), pcapdrv.ErrDamaged, "too short"},
		{"no such interface", set(packet(), good+8, 1), pcapdrv.ErrDamaged, "interface 1"},
		{"no such interface, 2^31", set(packet(), good+8, 1<<31), pcapdrv.ErrDamaged, "interface 2147483648"},
		{"packet block too short", start().block(6, make([]byte, 16)).b, pcapdrv.ErrDamaged, "too short"},
		{"simple packet too short", start().block(3, nil).b, pcapdrv.ErrDamaged, "too short"},
		{"simple packet of 4 GiB", start().block(3, o.AppendUint32(nil, math.MaxUint32)).b, pcapdrv.ErrDamaged, "claims"},
		{"interface too short", start().block(1, make([]byte, 4)).b, pcapdrv.ErrDamaged, "too short"},
		{"option beyond its block", start().iface(1, 0, []byte{9, 0, 200, 0}).b, pcapdrv.ErrDamaged, "too short"},
		{"section of version 2.0", set(start().section(0), good+12, 2), pcapdrv.ErrFormat, "version 2.0"},
		{"section without a mark", set(start().section(0), good+8, 0), pcapdrv.ErrDamaged, "byte order mark"},
		{"trailing garbage", append(start().b, 1, 2, 3), pcapdrv.ErrTruncated, "3 of 12 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := readAll(c.file)
			var where *pcapdrv.ReadError
			if len(got) != 1 || !errors.Is(err, c.is) || !errors.As(err, &where) || !strings.Contains(err.Error(), c.says) {
				t.Fatalf("%d frames, %v\nwant 1 and a ReadError of %v that says %q", len(got), err, c.is, c.says)
			}
			if where.Offset != int64(good) || where.Frames != 1 {
				t.Errorf("%+v, want byte %d", where, good)
			}
		})
	}
}

func TestPcapngSimplePacketWithoutInterface(t *testing.T) {
	n := (&ng{order: orders["little"]}).section(0).simple(rec{data: packetAB})
	got, err := readAll(n.b)
	if len(got) != 0 || !errors.Is(err, pcapdrv.ErrDamaged) || !strings.Contains(err.Error(), "no interface") {
		t.Errorf("%d frames, %v", len(got), err)
	}
}

func TestPcapngTooManyInterfaces(t *testing.T) {
	n := (&ng{order: orders["little"]}).section(0)
	for range 1<<16 + 1 {
		n.iface(1, 0)
	}
	if _, err := readAll(n.b); !errors.Is(err, pcapdrv.ErrDamaged) {
		t.Errorf("got %v", err)
	}
}

// Times are exact in every resolution that the format has, and saturate where they do not fit; math/big is the witness.
func TestPcapngTime(t *testing.T) {
	check := func(t interface{ Fatalf(string, ...any) }, resolution byte, offset int64, ticks ...uint64) {
		n := &ng{order: orders["little"]}
		n.section(0).iface(101, 0, n.opt(9, []byte{resolution}), n.opt(14, n.AppendUint64(nil, uint64(offset))))
		for _, n64 := range ticks {
			n.enhanced(0, n64, rec{})
		}
		got, err := readAll(n.b)
		if err != nil {
			t.Fatalf("%v", err)
		}
		for i, f := range got {
			if want := exactTime(ticks[i], resolution, offset); f.Time != want {
				t.Fatalf("%d ticks, resolution %#x, offset %d: %d, want %d", ticks[i], resolution, offset, f.Time, want)
			}
		}
	}
	for resolution := range 256 {
		for _, offset := range []int64{0, -1, 3600, math.MaxInt64, math.MinInt64} {
			check(t, byte(resolution), offset, 0, 1, 1<<32-1, 1700000000_123456789, math.MaxInt64, math.MaxUint64)
		}
	}
	rapid.Check(t, func(r *rapid.T) {
		check(r, rapid.Byte().Draw(r, "resolution"), rapid.Int64().Draw(r, "offset"), rapid.Uint64().Draw(r, "ticks"))
	})
}

func exactTime(ticks uint64, resolution byte, offset int64) int64 {
	base := big.NewInt(10)
	if resolution&0x80 != 0 {
		base = big.NewInt(2)
	}
	unit := base.Exp(base, big.NewInt(int64(resolution&0x7f)), nil)
	ns := new(big.Int).SetUint64(ticks)
	ns.Mul(ns, big.NewInt(1e9)).Quo(ns, unit)
	sum := new(big.Int).Mul(big.NewInt(offset), big.NewInt(1e9))
	switch sum.Add(sum, ns); {
	case sum.IsInt64():
		return sum.Int64()
	case sum.Sign() < 0:
		return math.MinInt64
	}
	return math.MaxInt64
}

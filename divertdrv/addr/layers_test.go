package addr_test

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"iter"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/weirnet/weir/divertdrv/addr"
)

// What follows the 16 common bytes, as the C header declares it.
type (
	network struct {
		IfIdx, SubIfIdx uint32
		_               [56]byte
	}
	flow struct {
		EndpointID, ParentEndpointID uint64
		ProcessID                    uint32
		LocalAddr, RemoteAddr        [4]uint32 // host order, least significant first
		LocalPort, RemotePort        uint16
		Protocol                     uint8
		_                            [7]uint8
	}
	reflection struct {
		Timestamp        int64
		ProcessID, Layer uint32
		Flags            uint64
		Priority         int16
		_                [38]byte
	}
)

type vector struct{ layer, hex string }

// vectors are addresses that WinDivert's own evaluator took; see testdata/README.md.
func vectors(t testing.TB) iter.Seq[vector] {
	b, err := os.ReadFile("testdata/addresses.tsv")
	if err != nil {
		t.Fatal(err)
	}
	return func(yield func(vector) bool) {
		for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
			layer, digits, _ := strings.Cut(lines.Text(), "\t")
			if !yield(vector{layer, digits}) {
				return
			}
		}
	}
}

// declared reads b as the C struct.
func declared[T any](t rapid.TB, b []byte) (s T) {
	t.Helper()
	if err := binary.Read(bytes.NewReader(b), binary.LittleEndian, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// hostOrder is the address of four words with the least significant first.
func hostOrder(w [4]uint32) netip.Addr {
	var b [16]byte
	for i, x := range w {
		binary.LittleEndian.PutUint32(b[4*i:], x)
	}
	slices.Reverse(b[:])
	return netip.AddrFrom16(b).Unmap()
}

func TestVectors(t *testing.T) {
	n := map[string]int{}
	for v := range vectors(t) {
		n[v.layer]++
		a, err := addr.ParseHex(v.hex)
		if err != nil {
			t.Fatal(err)
		}
		b := a.Bytes()
		if hex.EncodeToString(b[:]) != v.hex {
			t.Errorf("%s there and back is %x", v.hex, b)
		}
		if layer, err := addr.ParseLayer(v.layer); err != nil || a.Layer() != layer {
			t.Errorf("%s: layer %v, want %s", v.hex, a.Layer(), v.layer)
		}
		checkData(t, &a, b[:])
	}
	for _, layer := range []string{"0", "1", "2", "3", "4"} {
		if n[layer] < 100 {
			t.Errorf("layer %s: %d vectors", layer, n[layer])
		}
	}
}

// checkData compares the accessors of every layer with the declared structs.
func checkData(t rapid.TB, a *addr.Address, b []byte) {
	t.Helper()
	if a.Timestamp != int64(binary.LittleEndian.Uint64(b)) {
		t.Errorf("timestamp %d of % x", a.Timestamp, b)
	}
	if want := declared[network](t, b[16:]); a.IfIdx() != want.IfIdx || a.SubIfIdx() != want.SubIfIdx {
		t.Errorf("interface %d %d, want %+v", a.IfIdx(), a.SubIfIdx(), want)
	}
	f := declared[flow](t, b[16:])
	if got, want := a.Flow(), (addr.Flow{
		EndpointID: f.EndpointID, ParentEndpointID: f.ParentEndpointID, ProcessID: f.ProcessID,
		Local:    netip.AddrPortFrom(hostOrder(f.LocalAddr), f.LocalPort),
		Remote:   netip.AddrPortFrom(hostOrder(f.RemoteAddr), f.RemotePort),
		Protocol: f.Protocol,
	}); got != want {
		t.Errorf("flow %+v\nwant %+v", got, want)
	}
	hi, lo := a.LocalWords()
	if l := f.LocalAddr; hi != uint64(l[3])<<32|uint64(l[2]) || lo != uint64(l[1])<<32|uint64(l[0]) {
		t.Errorf("local %#x %#x, want %#x", hi, lo, l)
	}
	hi, lo = a.RemoteWords()
	if r := f.RemoteAddr; hi != uint64(r[3])<<32|uint64(r[2]) || lo != uint64(r[1])<<32|uint64(r[0]) {
		t.Errorf("remote %#x %#x, want %#x", hi, lo, r)
	}
	r := declared[reflection](t, b[16:])
	if got, want := a.Reflect(), (addr.Reflect{
		Timestamp: r.Timestamp, ProcessID: r.ProcessID, Layer: addr.Layer(r.Layer), Flags: addr.Flags(r.Flags), Priority: r.Priority,
	}); got != want {
		t.Errorf("reflect %+v, want %+v", got, want)
	}
}

func TestDataOfAnyBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), addr.Size, addr.Size).Draw(t, "bytes")
		a, err := addr.Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		checkData(t, &a, b)
	})
}

func addrPorts() *rapid.Generator[netip.AddrPort] {
	return rapid.Custom(func(t *rapid.T) netip.AddrPort {
		b := rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "address")
		ip := netip.AddrFrom16([16]byte(b)).Unmap()
		if rapid.Bool().Draw(t, "IPv4") {
			ip = netip.AddrFrom4([4]byte(b))
		}
		return netip.AddrPortFrom(ip, rapid.Uint16().Draw(t, "port"))
	})
}

// What is set is read back, whatever stood there, and what no field covers is zero.
func TestSetters(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.SliceOfN(rapid.Byte(), addr.Size, addr.Size).Draw(t, "before")
		a, _ := addr.Parse(raw)
		want := addr.Flow{
			EndpointID: rapid.Uint64().Draw(t, "endpoint"), ParentEndpointID: rapid.Uint64().Draw(t, "parent"),
			ProcessID: rapid.Uint32().Draw(t, "process"), Local: addrPorts().Draw(t, "local"), Remote: addrPorts().Draw(t, "remote"),
			Protocol: rapid.Uint8().Draw(t, "protocol"),
		}
		a.SetFlow(want)
		if b := a.Bytes(); a.Flow() != want || !allZero(b[16+57:]) {
			t.Fatalf("%+v\nread as %+v", want, a.Flow())
		}
		refl := addr.Reflect{
			Timestamp: rapid.Int64().Draw(t, "timestamp"), ProcessID: want.ProcessID, Layer: addr.Layer(want.Protocol),
			Flags: addr.Flags(rapid.Uint64().Draw(t, "flags")), Priority: rapid.Int16().Draw(t, "priority"),
		}
		a.SetReflect(refl)
		if b := a.Bytes(); a.Reflect() != refl || !allZero(b[16+26:]) {
			t.Fatalf("%+v\nread as %+v", refl, a.Reflect())
		}
		if a.SetInterface(want.ProcessID, 7); a.IfIdx() != want.ProcessID || a.SubIfIdx() != 7 {
			t.Fatalf("interface %d %d", a.IfIdx(), a.SubIfIdx())
		}
		before, _ := addr.Parse(raw)
		if head := a.Bytes(); [12]byte(head[:12]) != [12]byte(raw[:12]) || a.Timestamp != before.Timestamp {
			t.Fatal("the setters of data changed what is before it")
		}
	})
}

func allZero(b []byte) bool { return len(bytes.Trim(b, "\x00")) == 0 }

// A bind has no remote side: its words are zero, which reads as [::]:0 for IPv4 too.
func TestNoRemote(t *testing.T) {
	var a addr.Address
	a.SetFlow(addr.Flow{Local: netip.MustParseAddrPort("192.0.2.1:80")})
	if hi, lo := a.RemoteWords(); hi != 0 || lo != 0 || a.Flow().Remote != netip.MustParseAddrPort("[::]:0") {
		t.Errorf("remote is %v", a.Flow().Remote)
	}
	if hi, lo := a.LocalWords(); hi != 0 || lo != 0xffffc0000201 {
		t.Errorf("local is %#x %#x", hi, lo)
	}
}

func TestAllocs(t *testing.T) {
	var a addr.Address
	f := addr.Flow{Local: netip.MustParseAddrPort("192.0.2.1:80"), Remote: netip.MustParseAddrPort("[2001:db8::1]:443")}
	if n := testing.AllocsPerRun(100, func() {
		a.SetFlow(f)
		f = a.Flow()
		b := a.Bytes()
		a, _ = addr.Parse(b[:])
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

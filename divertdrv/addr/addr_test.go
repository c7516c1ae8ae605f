package addr_test

import (
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"unsafe"

	"pgregory.net/rapid"

	"github.com/weirnet/weir/divertdrv/addr"
)

// The table of flags: bits of the word at offset 8 behind layer and event (WINDIVERT_ADDRESS).
var flags = []struct {
	name string
	bit  uint
	get  func(a *addr.Address) bool
	set  func(a *addr.Address, on bool)
}{
	{"Sniffed", 16, (*addr.Address).Sniffed, (*addr.Address).SetSniffed},
	{"Outbound", 17, (*addr.Address).Outbound, (*addr.Address).SetOutbound},
	{"Loopback", 18, (*addr.Address).Loopback, (*addr.Address).SetLoopback},
	{"Impostor", 19, (*addr.Address).Impostor, (*addr.Address).SetImpostor},
	{"IPv6", 20, (*addr.Address).IPv6, (*addr.Address).SetIPv6},
	{"IPChecksum", 21, (*addr.Address).IPChecksum, (*addr.Address).SetIPChecksum},
	{"TCPChecksum", 22, (*addr.Address).TCPChecksum, (*addr.Address).SetTCPChecksum},
	{"UDPChecksum", 23, (*addr.Address).UDPChecksum, (*addr.Address).SetUDPChecksum},
}

// word is the 32-bit word at offset 8.
func word(a *addr.Address) uint32 {
	b := a.Bytes()
	return uint32(b[8]) | uint32(b[9])<<8 | uint32(b[10])<<16 | uint32(b[11])<<24
}

func TestFlags(t *testing.T) {
	for _, f := range flags {
		var a addr.Address
		a.SetLayer(addr.LayerReflect, addr.EventClosed)
		bare := a
		f.set(&a, true)
		if word(&a) != 4|9<<8|1<<f.bit {
			t.Errorf("%s sets %#x", f.name, word(&a))
		}
		for _, other := range flags {
			if other.get(&a) != (other.bit == f.bit) {
				t.Errorf("%s: %s is %v", f.name, other.name, other.get(&a))
			}
		}
		if f.set(&a, false); a != bare {
			t.Errorf("%s cleared leaves %#x", f.name, word(&a))
		}
	}
	var a addr.Address
	a.SetSniffed(true)
	if a.SetChecksums(true); word(&a) != 7<<21|1<<16 {
		t.Errorf("SetChecksums sets %#x", word(&a))
	}
	if a.SetChecksums(false); word(&a) != 1<<16 {
		t.Errorf("SetChecksums clears to %#x", word(&a))
	}
}

func TestFlagBits(t *testing.T) {
	var a addr.Address
	a.SetLayer(addr.LayerSocket, addr.EventClose)
	a.SetOutbound(true)
	a.SetIPv6(true)
	if got := a.FlagBits(); got != 1<<1|1<<4 {
		t.Errorf("got %08b", got)
	}
}

func TestLayerAndEvent(t *testing.T) {
	var a addr.Address
	a.SetLayer(0xff, 0xff)
	a.SetUDPChecksum(true)
	a.SetLayer(addr.LayerSocket, addr.EventAccept)
	if a.Layer() != addr.LayerSocket || a.Event() != addr.EventAccept || word(&a) != 3|6<<8|1<<23 {
		t.Errorf("%v %v %#x", a.Layer(), a.Event(), word(&a))
	}
}

// On a little-endian machine the memory of an Address is its binary form: the kernel writes there on Windows.
func TestMemoryIsBinaryForm(t *testing.T) {
	if one := uint16(1); *(*byte)(unsafe.Pointer(&one)) == 0 {
		t.Skip("not little-endian; no driver writes here")
	}
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.SliceOfN(rapid.Byte(), addr.Size, addr.Size).Draw(t, "bytes")
		clear(raw[12:16]) // reserved
		a, err := addr.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		if memory := (*[addr.Size]byte)(unsafe.Pointer(&a)); *memory != [addr.Size]byte(raw) {
			t.Fatalf("memory % x\nwant   % x", *memory, raw)
		}
		if back := a.Bytes(); back != [addr.Size]byte(raw) {
			t.Fatalf("bytes % x\nwant  % x", back, raw)
		}
	})
	if unsafe.Sizeof(addr.Address{}) != 80 || unsafe.Offsetof(addr.Address{}.Timestamp) != 0 {
		t.Error("layout")
	}
}

func TestParseErrors(t *testing.T) {
	for _, n := range []int{0, 79, 81} {
		if _, err := addr.Parse(make([]byte, n)); err == nil || !strings.Contains(err.Error(), "want 80") {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	var invalid hex.InvalidByteError
	if _, err := addr.ParseHex(strings.Repeat("0", 159) + "x"); !errors.As(err, &invalid) {
		t.Errorf("no hexadecimal: %v", err)
	}
	if _, err := addr.ParseHex("00"); err == nil {
		t.Error("one byte was taken")
	}
}

func FuzzParse(f *testing.F) {
	for line := range vectors(f) {
		b, _ := hex.DecodeString(line.hex)
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := addr.Parse(b)
		if (err == nil) != (len(b) == addr.Size) {
			t.Fatalf("%d bytes: %v", len(b), err)
		}
		back := a.Bytes()
		if again, err := addr.Parse(back[:]); again != a || err != nil {
			t.Fatalf("% x there and back: %v %v", b, again, err)
		}
		_, _, _, _ = a.Layer().String(), a.Event().String(), a.Flow(), a.Reflect()
	})
}

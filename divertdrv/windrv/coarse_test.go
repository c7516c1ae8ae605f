package windrv

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/filter"
)

// asDriver is the program that the driver gets for a text, with the driver's faults in it.
func asDriver(t *testing.T, text string, l divertdrv.Layer, flags divertdrv.Flags) (ours, theirs *divertdrv.Filter, again bool) {
	t.Helper()
	ours, err := filter.Parse(text, l)
	if err != nil {
		t.Fatal(err)
	}
	run, again, err := forDriver(ours, flags)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := run.Binary()
	if err != nil {
		t.Fatal(err)
	}
	theirs, err = filter.FromBinary(raw, l, filter.Compat22())
	if err != nil {
		t.Fatal(err)
	}
	return ours, theirs, again
}

// A driver that misreads the flow label lets through all that matches, and is asked again if it lets through more.
func TestFlowLabel(t *testing.T) {
	var a divertdrv.Address
	a.SetIPv6(true)
	for _, c := range []struct {
		text  string
		again bool
	}{
		{"ipv6.FlowLabel == 0x12345", true},
		{"udp and ipv6.FlowLabel > 5 or tcp", true},
		{"ipv6.FlowLabel == 0", false},
		{"ipv6.FlowLabel >= 1", false},
		{"udp", false},
	} {
		ours, theirs, again := asDriver(t, c.text, divertdrv.Network, 0)
		if again != c.again {
			t.Errorf("%s is asked again: %t", c.text, again)
		}
		for _, label := range []uint32{0, 1, 5, 6, 0x12345, 0x23450, 0xfffff} {
			p := make([]byte, 48)
			p[0], p[1], p[2], p[3], p[5], p[6] = 0x60, byte(label>>16), byte(label>>8), byte(label), 8, 17
			p[45] = 8
			want, got := ours.Match(&a, p, nil), theirs.Match(&a, p, nil)
			if want && !got || got != want && !again {
				t.Errorf("%s, label %#x: the driver says %t, want %t", c.text, label, got, want)
			}
		}
	}
}

// What is taken for good cannot be asked again.
func TestFlowLabelRefused(t *testing.T) {
	f, err := filter.Parse("ipv6.FlowLabel == 5", divertdrv.Network)
	if err != nil {
		t.Fatal(err)
	}
	for _, flags := range []divertdrv.Flags{divertdrv.DropAll, divertdrv.RecvOnly} {
		if _, _, err := forDriver(f, flags); !errors.Is(err, divertdrv.ErrUnsupported) {
			t.Errorf("%v: %v", flags, err)
		}
	}
	if _, again, err := forDriver(f, divertdrv.Sniff|divertdrv.RecvOnly); err != nil || !again {
		t.Errorf("copies: %t, %v", again, err)
	}
}

// At FLOW and SOCKET the driver knows no family; the address says it.
func TestFamilies(t *testing.T) {
	for _, text := range []string{"ip", "ipv6", "not ip", "ip == 0 or tcp", "(ipv6? udp: tcp)", "ip < 5", "ipv6 > 0 and localPort == 7"} {
		for _, l := range []divertdrv.Layer{divertdrv.LayerFlow, divertdrv.LayerSocket} {
			ours, theirs, again := asDriver(t, text, l, divertdrv.RecvOnly)
			if again {
				t.Errorf("%s is asked again", text)
			}
			for _, local := range []string{"10.0.0.1:7", "0.0.0.0:7", "255.255.255.255:9", "[::]:7", "[::1]:7", "[2001:db8::1]:9"} {
				at := netip.MustParseAddrPort(local)
				for _, protocol := range []uint8{6, 17} {
					var a divertdrv.Address
					a.SetLayer(l, 0)
					f := a.Flow()
					f.Local, f.Protocol = at, protocol
					a.SetFlow(f)
					a.SetIPv6(at.Addr().Is6())
					if want, got := ours.Match(&a, nil, nil), theirs.Match(&a, nil, nil); got != want {
						t.Errorf("%s at %v, %s: the driver says %t, want %t", text, l, local, got, want)
					}
				}
			}
		}
	}
}

// Each number has a sentence, and the texts do not send anybody elsewhere than to its sentinel.
func TestErrno(t *testing.T) {
	for n, m := range meanings {
		if m.says == "" || m.sentinel == nil || !errors.Is(n, m.sentinel) {
			t.Errorf("%d: %v", uint32(n), n)
		}
	}
	if n := Errno(4711); n.Error() != "Windows error 4711" || n.Unwrap() != nil {
		t.Errorf("%v", n)
	}
}

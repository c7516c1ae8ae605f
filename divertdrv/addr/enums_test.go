package addr_test

import (
	"strings"
	"testing"

	"github.com/weirnet/weir/divertdrv/addr"
)

// Names and numbers are WinDivert's.
func TestNames(t *testing.T) {
	for l, want := range []string{"network", "forward", "flow", "socket", "reflect", "layer(5)"} {
		if got := addr.Layer(l).String(); got != want {
			t.Errorf("layer %d: %s, want %s", l, got, want)
		}
	}
	for e, want := range []string{
		"packet", "established", "deleted", "bind", "connect", "listen", "accept", "close", "open", "closed", "event(10)",
	} {
		if got := addr.Event(e).String(); got != want {
			t.Errorf("event %d: %s, want %s", e, got, want)
		}
	}
	for f, want := range map[addr.Flags]string{
		0: "0", 1: "sniff", 2: "drop", 4: "recv-only", 8: "send-only", 16: "no-install", 32: "fragments",
		addr.Sniff | addr.RecvOnly: "sniff|recv-only", addr.DropAll | 1<<40: "drop|0x10000000000", 64: "0x40",
	} {
		if got := f.String(); got != want {
			t.Errorf("flags %d: %s, want %s", f, got, want)
		}
	}
	if addr.AllFlags != 63 {
		t.Errorf("all flags are %#x", uint64(addr.AllFlags))
	}
}

func TestParseLayer(t *testing.T) {
	for l := range addr.Layer(addr.Layers) {
		for _, s := range []string{l.String(), strings.ToUpper(l.String()), string(rune('0' + l))} {
			if got, err := addr.ParseLayer(s); got != l || err != nil {
				t.Errorf("%s: %v %v", s, got, err)
			}
		}
		if want := l != addr.LayerFlow && l != addr.LayerSocket; l.HasData() != want {
			t.Errorf("%v has data: %v", l, l.HasData())
		}
	}
	for _, s := range []string{"NETWORK_FORWARD", "network-forward"} {
		if got, err := addr.ParseLayer(s); got != addr.NetworkForward || err != nil {
			t.Errorf("%s: %v %v", s, got, err)
		}
	}
	for _, s := range []string{"", "5", "transport"} {
		if _, err := addr.ParseLayer(s); err == nil || !strings.Contains(err.Error(), "want network, forward") {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestParseFlag(t *testing.T) {
	for f := addr.Flags(1); f&addr.AllFlags != 0; f <<= 1 {
		if got, err := addr.ParseFlag(f.String()); got != f || err != nil {
			t.Errorf("%v: %v %v", f, got, err)
		}
	}
	for _, s := range []string{"", "sniff|drop", "0x40"} {
		if _, err := addr.ParseFlag(s); err == nil || !strings.Contains(err.Error(), "want one of sniff") {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestParamRange(t *testing.T) {
	for p, want := range map[addr.Param][4]uint64{
		addr.QueueLength: {32, 16384, 4096, 1}, addr.QueueTime: {100, 16000, 2000, 1}, addr.QueueSize: {65535, 33554432, 4194304, 1},
		addr.VersionMajor: {}, addr.VersionMinor: {}, 5: {},
	} {
		lo, hi, def, ok := p.Range()
		if got := [3]uint64{lo, hi, def}; got != [3]uint64(want[:3]) || ok != (want[3] == 1) {
			t.Errorf("parameter %d: %v %v, want %v", p, got, ok, want)
		}
	}
}

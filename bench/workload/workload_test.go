package workload_test

import (
	"net/netip"
	"os"
	"slices"
	"testing"

	"github.com/weirnet/weir/bench/workload"
	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/filter"
	"github.com/weirnet/weir/divertdrv/wire"
)

func TestRing(t *testing.T) {
	for _, v6 := range []bool{false, true} {
		ring, err := workload.Ring(5, 64, 200, v6)
		again, _ := workload.Ring(5, 64, 200, v6)
		other, _ := workload.Ring(6, 64, 200, v6)
		if err != nil || !slices.EqualFunc(ring, again, slices.Equal) || slices.EqualFunc(ring, other, slices.Equal) {
			t.Fatalf("a ring is not its seed's alone: %v", err)
		}
		for _, pkt := range ring {
			var h wire.Headers
			wire.Parse(pkt, &h)
			ip, tcp := wire.Verify(pkt, &h)
			if len(pkt) != 200 || h.Transport != wire.TCP || tcp != wire.SumGood || !v6 && ip != wire.SumGood || h.TCP(pkt).DstPort() != workload.Port {
				t.Fatalf("%+v, sums %v %v", h, ip, tcp)
			}
		}
	}
	if _, err := workload.Ring(1, 1, 39, false); err == nil {
		t.Error("made a packet that is too short for its headers")
	}
}

// The last rule, and no other, matches.
func TestRules(t *testing.T) {
	ring, _ := workload.Ring(1, 32, 60, false)
	rules := workload.Rules(1, 500)
	for i, r := range rules {
		prog, err := filter.Parse(r.Filter(), divertdrv.Network)
		if err != nil {
			t.Fatal(err)
		}
		for _, pkt := range ring {
			var a divertdrv.Address
			if got := prog.Match(&a, pkt, nil); got != (i == len(rules)-1) {
				t.Fatalf("rule %d, %s: matches %t", i, r.Filter(), got)
			}
		}
		dst, _ := netip.AddrFromSlice(ring[0][16:20])
		if r.Dst.Contains(dst) != (i == len(rules)-1) {
			t.Fatalf("rule %d and its filter differ", i)
		}
	}
}

func TestCaptureIsRemoved(t *testing.T) {
	c, err := workload.NewCapture("100", 1)
	if err != nil || c.Packets != 100 {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(c.Path); !os.IsNotExist(err) {
		t.Errorf("it is still there: %v", err)
	}
	if _, err := workload.NewCapture("0", 1); err == nil {
		t.Error("no error for no packets")
	}
}

func TestWhatIsNotThere(t *testing.T) {
	for what, err := range map[string]error{
		"packets":  second(workload.ParseRing("v5", 1)),
		"traffic":  second(workload.NewTraffic("heavy", 1)),
		"size":     second(workload.SumData("big", 1)),
		"pipeline": second(workload.NewPipeline("60", "no", 1)),
	} {
		if err == nil {
			t.Errorf("%s: no error", what)
		}
	}
}

func second[T any](_ T, err error) error { return err }

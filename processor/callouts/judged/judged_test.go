package judged

import (
	"context"
	"net/netip"
	"testing"

	"go.uber.org/goleak"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/inject/craft"
	"github.com/weirnet/weir/processor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// run shows datagrams of a flow to c, on a driver without a kernel.
func run(t *testing.T, c *Callout, datagrams int) divertdrv.Stats {
	t.Helper()
	sim := simdrv.New(simdrv.Config{})
	defer sim.Close()
	h, err := divertdrv.Open("true", divertdrv.Network, &divertdrv.Options{Driver: sim})
	if err != nil {
		t.Fatal(err)
	}
	pol, err := processor.NewPolicy(nil, []processor.Filter{
		{Name: "judged", Layer: processor.OutboundTransport, Action: processor.ActionCalloutInspection, Callout: c},
	})
	if err != nil {
		t.Fatal(err)
	}
	if !pol.Judges() {
		t.Error("the policy does not say that it judges")
	}
	p, err := processor.New(processor.Config{Handles: []*divertdrv.Handle{h}, Policy: pol})
	if err != nil {
		t.Fatal(err)
	}
	data, err := craft.UDP(netip.MustParseAddrPort("10.0.0.1:5"), netip.MustParseAddrPort("10.0.0.2:6"), make([]byte, 100))
	if err != nil {
		t.Fatal(err)
	}
	for range datagrams {
		if err := sim.Send(data); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // what is queued is judged
	if err := p.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if err := h.Close(); err != nil {
		t.Fatal(err)
	}
	st := h.Stats()
	if err := st.Conserved(); err != nil {
		t.Error(err)
	}
	return st
}

// Where no kernel is, packets pass as without it, and the reason is counted; too little of a flow comes first.
func TestWithoutKernel(t *testing.T) {
	for _, c := range []struct {
		config Config
		want   Stats
	}{
		{Config{}, Stats{Unsupported: 10}},
		{Config{Packets: 4}, Stats{Early: 3, Unsupported: 7}},
		{Config{Bytes: 128}, Stats{Unsupported: 10}},
		{Config{Bytes: 129}, Stats{Early: 1, Unsupported: 9}},
		{Config{Packets: 2, Bytes: 1000}, Stats{Early: 7, Unsupported: 3}},
		{Config{Packets: PacketsMax}, Stats{Early: 10}},
	} {
		x, err := New("rest", c.config)
		if err != nil {
			t.Fatal(err)
		}
		st := run(t, x, 10)
		if x.Stats() != c.want || st.Passed != 10 || st.CutThrough != 0 {
			t.Errorf("%+v: %+v, want %+v; %+v", c.config, x.Stats(), c.want, st)
		}
		sum, names := uint64(0), 0
		for _, n := range x.Counters {
			sum, names = sum+n, names+1
		}
		if sum != 10 || names != 8 {
			t.Errorf("%d counters with %d packets", names, sum)
		}
	}
}

func TestConfigBounds(t *testing.T) {
	for _, c := range []Config{{Packets: PacketsMax + 1}, {Bytes: BytesMax + 1}} {
		if _, err := New("rest", c); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
}

package limit

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/inject/craft"
	"github.com/weirnet/weir/processor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sent is one datagram, and when.
type sent struct {
	at       int64 // milliseconds
	src, dst string
	payload  int
}

// script gives datagrams at their times.
type script struct {
	t    testing.TB
	left []sent
}

func (*script) Prompt() {}

func (s *script) Next() (*divertdrv.Address, []byte, error) {
	if len(s.left) == 0 {
		return nil, nil, io.EOF
	}
	p := s.left[0]
	s.left = s.left[1:]
	data, err := craft.UDP(netip.MustParseAddrPort(p.src), netip.MustParseAddrPort(p.dst), make([]byte, p.payload))
	if err != nil {
		s.t.Fatal(err)
	}
	var a divertdrv.Address
	a.SetOutbound(true)
	a.SetChecksums(true)
	a.SetIPv6(data[0]>>4 == 6)
	a.Timestamp = 1e18 + p.at*1e6
	return &a, data, nil
}

// run shows the packets to c and returns what left and what the handle counted.
func run(t *testing.T, c *Callout, final bool, packets ...sent) (left [][]byte, s divertdrv.Stats) {
	t.Helper()
	sim := simdrv.New(simdrv.Config{
		Source: &script{t, packets}, OnWire: func(_ *divertdrv.Address, b []byte) { left = append(left, append([]byte(nil), b...)) },
	})
	defer sim.Close()
	h, err := divertdrv.Open("true", divertdrv.Network, &divertdrv.Options{Driver: sim})
	if err != nil {
		t.Fatal(err)
	}
	filters := []processor.Filter{{Name: "limit", Layer: processor.OutboundIPPacket, Action: processor.ActionCalloutUnknown, Callout: c}}
	if final {
		filters = append(filters, processor.Filter{
			Name: "final", Layer: processor.OutboundIPPacket, Sublayer: "first", Action: processor.ActionPermit, Hard: true,
		})
	}
	pol, err := processor.NewPolicy([]processor.Sublayer{{Name: "first", Weight: 9}}, filters)
	if err != nil {
		t.Fatal(err)
	}
	p, err := processor.New(processor.Config{Handles: []*divertdrv.Handle{h}, Policy: pol, Settle: true, PacketTime: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	h.Close()
	s = h.Stats()
	if err := s.Conserved(); err != nil || s.Passed != uint64(len(left)) || p.Stats().Breaches != 0 {
		t.Errorf("%+v, %v, %d left", s, err, len(left))
	}
	return left, s
}

func must(t *testing.T, cfg Config) *Callout {
	t.Helper()
	c, err := New("x", cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

const (
	a, b, a6 = "10.0.0.1:1000", "10.0.0.2:1000", "[fd00::1]:1000"
	to, to6  = "192.0.2.1:53", "[2001:db8::1]:53"
)

func TestPacketsOfAPolicy(t *testing.T) {
	c := must(t, Config{Packets: 10, Burst: 2})
	_, s := run(t, c, false, sent{0, a, to, 1}, sent{0, b, to, 1}, sent{0, a, to, 1}, sent{99, a, to, 1}, sent{100, a, to, 1}, sent{100, b, to, 1}, sent{400, a6, to6, 1}, sent{400, a, to, 1}, sent{400, a, to, 1})
	if s.Passed != 5 || s.Dropped[reason.Limited] != 4 || c.Stats() != (Stats{Conformed: 5, Blocked: 4}) {
		t.Errorf("%+v, %+v", s, c.Stats())
	}
}

// Bytes count from the IP header on, and a packet goes as a whole or not at all.
func TestBytes(t *testing.T) {
	c := must(t, Config{Bytes: 1000, Burst: 200})
	_, s := run(t, c, false, sent{0, a, to, 100 - 28}, sent{0, a, to, 101 - 28}, sent{0, a, to, 100 - 28}, sent{0, a, to, 0}, sent{28, a, to, 0}, sent{10_000, a, to, 201 - 28})
	if s.Passed != 3 || c.Stats().Blocked != 3 {
		t.Errorf("%+v, %+v", s, c.Stats())
	}
}

func TestPerSourceAndPerFlow(t *testing.T) {
	packets := []sent{{0, a, to, 1}, {0, b, to, 1}, {0, a6, to6, 1}, {0, a, to, 1}, {0, "10.0.0.1:1001", to, 1}, {0, a, "192.0.2.1:54", 1}}
	for per, want := range map[string]uint64{"source": 3, "flow": 5, "policy": 1} {
		c := must(t, Config{Packets: 1, Per: per})
		if _, s := run(t, c, false, packets...); s.Passed != want {
			t.Errorf("per %s: %d passed, want %d", per, s.Passed, want)
		}
	}
}

// What exceeds is marked: DSCP is new, ECN as it was, and the checksum right.
func TestMark(t *testing.T) {
	dscp := uint8(8)
	c := must(t, Config{Packets: 1, Exceed: "mark", DSCP: &dscp})
	left, s := run(t, c, false, sent{0, a, to, 9}, sent{0, a, to, 9}, sent{0, a6, to6, 9})
	if s.Passed != 3 || c.Stats() != (Stats{Conformed: 1, Marked: 2}) {
		t.Fatalf("%+v, %+v", s, c.Stats())
	}
	for i, want := range []uint8{0, 8 << 2, 8 << 2} {
		var h wire.Headers
		wire.Parse(left[i], &h)
		got := left[i][1]
		if h.Version == 6 {
			got = (*wire.IPv6Header)(left[i]).TrafficClass()
		}
		ip, udp := wire.Verify(left[i], &h)
		if got != want || udp != wire.SumGood || h.Version == 4 && ip != wire.SumGood {
			t.Errorf("packet %d: DSCP and ECN %#x, want %#x; checksums %v, %v", i, got, want, ip, udp)
		}
	}
}

// A hard permit is not overruled, and takes no tokens.
func TestWithoutTheRight(t *testing.T) {
	c := must(t, Config{Packets: 1})
	if _, s := run(t, c, true, sent{0, a, to, 1}, sent{0, a, to, 1}); s.Passed != 2 || c.Stats() != (Stats{NoRights: 2}) {
		t.Errorf("%+v, %+v", s, c.Stats())
	}
}

func TestConfig(t *testing.T) {
	dscp, large := uint8(8), uint8(64)
	for says, cfg := range map[string]Config{
		"give one of packets and bytes": {},
		"one of packets and bytes":      {Packets: 1, Bytes: 1},
		"at most 10000000000":           {Packets: rateMax + 1},
		"give dscp":                     {Packets: 1, Exceed: "mark"},
		"dscp belongs to exceed: mark":  {Packets: 1, DSCP: &dscp},
		"dscp 64, want 0 to 63":         {Packets: 1, Exceed: "mark", DSCP: &large},
		"table belongs to per: flow":    {Packets: 1, Table: 8},
		"the table at most 1048576":     {Packets: 1, Per: "flow", Table: TableMax + 1},
	} {
		if c, err := Factory("x", func(into any) error { *into.(*Config) = cfg; return nil }); c != nil || err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: %v, %v; want %q", cfg, c, err, says)
		}
	}
	broken := errors.New("broken")
	if c, err := Factory("x", func(any) error { return broken }); c != nil || err != broken {
		t.Errorf("%v, %v", c, err)
	}
	if c := must(t, Config{Bytes: 10}); c.table.rate.burst != divertdrv.MTUMax {
		t.Errorf("burst %d: one packet of any size must fit", c.table.rate.burst)
	}
	got := 0
	for range must(t, Config{Bytes: 10}).Counters {
		got++
	}
	if got != 5 {
		t.Errorf("%d counters", got)
	}
}

func TestClassifyDoesNotAllocate(t *testing.T) {
	for _, per := range []string{"policy", "flow", "source"} {
		c := must(t, Config{Packets: 1, Per: per})
		data, err := craft.UDP(netip.MustParseAddrPort(a), netip.MustParseAddrPort(to), nil)
		if err != nil {
			t.Fatal(err)
		}
		cl := &processor.Classification{Packet: divertdrv.NewPacket(divertdrv.Address{}, data), Rights: processor.RightActionWrite}
		cl.Headers()
		if n := testing.AllocsPerRun(1000, func() { c.Classify(cl) }); n != 0 {
			t.Errorf("per %s: %v allocations", per, n)
		}
	}
}

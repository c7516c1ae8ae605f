package tap

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/filter"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/inject/craft"
	"github.com/weirnet/weir/processor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// datagrams gives outbound datagrams to ports, with their number as payload.
type datagrams struct {
	t     testing.TB
	ports []uint16
	n     int
}

func (*datagrams) Prompt() {}

func (s *datagrams) Next() (*divertdrv.Address, []byte, error) {
	if s.n == len(s.ports) {
		return nil, nil, io.EOF
	}
	var a divertdrv.Address
	a.SetOutbound(true)
	a.SetChecksums(true)
	a.Timestamp = 1_700_000_000_000_000_000 + int64(s.n)*1000
	data := datagram(s.t, s.ports[s.n], byte(s.n+1))
	s.n++
	return &a, data, nil
}

func datagram(t testing.TB, port uint16, payload ...byte) []byte {
	t.Helper()
	b, err := craft.UDP(netip.MustParseAddrPort("10.0.0.1:5000"), netip.AddrPortFrom(netip.MustParseAddr("10.0.0.2"), port), payload)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// run shows datagrams to a policy and closes the taps.
func run(t *testing.T, taps []*Callout, filters []processor.Filter, ports ...uint16) {
	t.Helper()
	sim := simdrv.New(simdrv.Config{Source: &datagrams{t: t, ports: ports}})
	defer sim.Close()
	h, err := divertdrv.Open("true", divertdrv.Network, &divertdrv.Options{Driver: sim})
	if err != nil {
		t.Fatal(err)
	}
	pol, err := processor.NewPolicy([]processor.Sublayer{{Name: "watch", Weight: 9}}, filters)
	if err != nil {
		t.Fatal(err)
	}
	p, err := processor.New(processor.Config{Handles: []*divertdrv.Handle{h}, Policy: pol, Settle: true, PacketTime: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range taps {
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	h.Close()
	if s := h.Stats(); s.Conserved() != nil || s.Received != uint64(len(ports)) || p.Stats().Breaches+p.Stats().Panics != 0 {
		t.Errorf("%+v, %v, %+v", s, s.Conserved(), p.Stats())
	}
	for _, c := range taps {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

func newTap(t testing.TB, name string, cfg Config) *Callout {
	t.Helper()
	if cfg.Write == "" {
		cfg.Write = filepath.Join(t.TempDir(), name+".pcapng")
	}
	c, err := New(name, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func watches(l processor.Layer, c *Callout) processor.Filter {
	return processor.Filter{Name: "watch " + l.String(), Layer: l, Sublayer: "watch", Action: processor.ActionCalloutInspection, Callout: c}
}

// upper writes 'X' over the last byte.
type upper struct{}

func (upper) Name() string { return "upper" }

func (upper) Classify(c *processor.Classification) processor.Verdict {
	b := c.Packet.Edit()
	b[len(b)-1] = 'X'
	return processor.Verdict{}
}

// holder holds, and lets go at once.
type holder struct{}

func (holder) Name() string { return "holder" }

func (holder) Classify(c *processor.Classification) processor.Verdict {
	if hd, err := c.Hold(0, divertdrv.Pass); err == nil {
		_ = hd.Release(divertdrv.Pass, 0)
	}
	return processor.Verdict{}
}

func scene(t testing.TB, taps ...processor.Filter) []processor.Filter {
	t.Helper()
	at := func(name string, port string, l processor.Layer, a processor.FilterAction, c processor.Callout) processor.Filter {
		w, err := filter.Parse("udp.DstPort == "+port, divertdrv.Network)
		if err != nil {
			t.Fatal(err)
		}
		return processor.Filter{Name: name, Layer: l, When: w, Action: a, Callout: c}
	}
	return append(taps,
		at("no-53", "53", processor.OutboundTransport, processor.ActionBlock, nil),
		at("change", "7", processor.OutboundIPPacket, processor.ActionCalloutUnknown, upper{}),
		at("hold", "9", processor.OutboundIPPacket, processor.ActionCalloutUnknown, holder{}),
	)
}

// Each packet stands twice in the file: as it came by, and as it went, with its verdict.
func TestBeforeAndAfter(t *testing.T) {
	c := newTap(t, "out", Config{})
	run(t, []*Callout{c}, scene(t, watches(processor.OutboundTransport, c)), 80, 53, 7, 9)
	want := `1 out/seen out: layer=outbound-transport filter="watch outbound-transport"; 1
1 out/judged out: verdict=pass latency_ns=T; 1
2 out/seen out: layer=outbound-transport filter="watch outbound-transport"; 2
2 out/judged out: verdict=drop cause=filter filter=no-53 layer=outbound-transport latency_ns=T; 2
3 out/seen out: layer=outbound-transport filter="watch outbound-transport"; 3
3 out/judged out: verdict=pass latency_ns=T; 88
4 out/seen out: layer=outbound-transport filter="watch outbound-transport"; 4
4 out/judged out: verdict=held latency_ns=T; 4
`
	if got := lines(readFile(t, c.Path())); got != want {
		t.Errorf("the file has\n%s\nwant\n%s", got, want)
	}
	if c.Stats() != (Stats{Shown: 4, Written: 8}) {
		t.Errorf("%+v", c.Stats())
	}
}

// At a discard layer the cause is known at once.
func TestDiscardLayer(t *testing.T) {
	all := newTap(t, "all", Config{Records: "judged", Snap: 28})
	gone := newTap(t, "gone", Config{Records: "seen"})
	run(t, []*Callout{all, gone}, scene(t, watches(processor.OutboundIPPacket, all), watches(processor.OutboundTransport.Discard(), gone)), 80, 53)
	if got, want := lines(readFile(t, gone.Path())), "1 gone/seen out: layer=outbound-transport-discard filter=\"watch outbound-transport-discard\" discarded=filter; 2\n"; got != want {
		t.Errorf("discarded\n%s\nwant\n%s", got, want)
	}
	r := readFile(t, all.Path())
	if len(r) != 1 || len(r[0].data) != 28 || r[0].wire != 29 || all.Stats() != (Stats{Shown: 1, Written: 1, Cut: 1}) {
		t.Errorf("%+v, %+v: what is blocked above is not shown below, and a long packet is cut", r, all.Stats())
	}
}

// tshark reads what is written, comments and numbers too.
func TestTsharkReadsIt(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	switch {
	case err != nil && os.Getenv("CI") == "true":
		t.Fatal("tshark is not installed")
	case err != nil:
		t.Skip("tshark is not installed")
	}
	c := newTap(t, "out", Config{})
	run(t, []*Callout{c}, scene(t, watches(processor.OutboundTransport, c)), 80, 53)
	out, err := exec.Command(tshark, "-r", c.Path(), "-T", "fields", "-e", "frame.interface_name", "-e", "frame.packet_id", "-e", "frame.comment", "-e", "udp.dstport").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	for _, want := range []string{"out/seen\t", "out/judged\t", "verdict=pass latency_ns=", "verdict=drop cause=filter filter=no-53 layer=outbound-transport latency_ns=", "\t53\n"} {
		if !strings.Contains(string(out), want) {
			t.Errorf("tshark does not say %q:\n%s", want, out)
		}
	}
}

func TestConfig(t *testing.T) {
	for says, cfg := range map[string]Config{
		"name one with write": {},
		"queue 65537":         {Write: "x", Queue: QueueMax + 1},
		"snap -1":             {Write: "x", Snap: -1},
	} {
		c, err := Factory("x", func(into any) error { *into.(*Config) = cfg; return nil })
		if c != nil || err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%+v: %v, %v; want %q", cfg, c, err, says)
		}
	}
	broken := errors.New("broken")
	if c, err := Factory("x", func(any) error { return broken }); c != nil || err != broken {
		t.Errorf("%v, %v", c, err)
	}
}

package processor_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/pcapdrv"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/inject/craft"
	"github.com/weirnet/weir/processor"
)

// The same policy and the same packets have equal verdicts on every driver: a script of packets is brought to a handle of each, and
// what is told of it must be the same to the byte.

// scriptHops marks the packets of the script: no stack sends others with it by default.
const scriptHops = 77

// scripted is the filter that all handles have.
var scripted = fmt.Sprintf("ip.TTL == %d or ipv6.HopLimit == %[1]d", scriptHops)

// line is one packet of the script.
type line struct {
	outbound bool
	data     []byte
}

// script is a conversation of two hosts in both families: TCP from each side, with and without an answer, UDP, and ICMP.
func script(t testing.TB, here, there [2]netip.Addr) (lines []line) {
	t.Helper()
	say := func(outbound bool, data []byte, err error) {
		if err != nil {
			t.Fatal(err)
		}
		if data[0]>>4 == 4 {
			data[8] = scriptHops
		} else {
			data[7] = scriptHops
		}
		wire.CalcChecksums(data, 0)
		lines = append(lines, line{outbound, data})
	}
	for i, h := range here {
		p := there[i]
		for port := uint16(1); port <= 8; port++ {
			for _, opens := range []bool{true, false} {
				a, b := netip.AddrPortFrom(h, 4000+port), netip.AddrPortFrom(p, port)
				if !opens {
					a, b = netip.AddrPortFrom(p, 5000+port), netip.AddrPortFrom(h, port)
				}
				for _, s := range handshake {
					src, dst := a, b
					if s.back {
						src, dst = b, a
					}
					data, err := craft.TCP(src, dst, s.Segment, []byte(s.payload))
					say(s.back != opens, data, err)
				}
				data, err := craft.UDP(a, b, []byte("ask"))
				say(opens, data, err)
				data, err = craft.UDP(b, a, []byte("tell"))
				say(!opens, data, err)
			}
		}
		data, err := craft.Echo(h, p, 1, 1, []byte("ping"))
		say(true, data, err)
		data, err = craft.Echo(p, h, 2, 1, []byte("ping"))
		say(false, data, err)
	}
	return lines
}

var handshake = []struct {
	back bool
	craft.Segment
	payload string
}{
	{false, craft.Segment{Seq: 100, Flags: wire.SYN, Window: 1000}, ""},
	{true, craft.Segment{Seq: 900, Ack: 101, Flags: wire.SYN | wire.ACK, Window: 1000}, ""},
	{false, craft.Segment{Seq: 101, Ack: 901, Flags: wire.ACK, Window: 1000}, ""},
	{false, craft.Segment{Seq: 101, Ack: 901, Flags: wire.ACK | wire.PSH, Window: 1000}, "hello"},
	{true, craft.Segment{Seq: 901, Ack: 106, Flags: wire.ACK | wire.PSH, Window: 1000}, "hello yourself"},
	{false, craft.Segment{Seq: 106, Ack: 915, Flags: wire.ACK | wire.FIN, Window: 1000}, ""},
	{true, craft.Segment{Seq: 915, Ack: 107, Flags: wire.ACK | wire.FIN, Window: 1000}, ""},
}

// shortener is a callout that changes packets, and blocks some.
type shortener struct{}

func (shortener) Name() string { return "shortener" }

func (shortener) Classify(c *processor.Classification) processor.Verdict {
	if len(c.Headers().Payload(c.Packet.Data)) > 6 {
		return processor.Verdict{Action: processor.Block, Cause: reason.Rejected}
	}
	c.Packet.Edit()[len(c.Packet.Data)-1] ^= 0x20
	return processor.Verdict{Action: processor.Permit}
}

// equalPolicy has filters at every kind of layer.
func equalPolicy(t testing.TB) *processor.Policy {
	t.Helper()
	f := func(name string, l processor.Layer, sublayer string, when string, a processor.FilterAction) processor.Filter {
		return processor.Filter{Name: name, Layer: l, Sublayer: sublayer, When: match(t, when), Action: a}
	}
	stolen := f("stolen", processor.ALEFlowEstablished, "low", "tcp.DstPort == 3 or tcp.SrcPort == 3", processor.ActionBlock)
	stolen.Reason = "the key of this peer was stolen"
	hard := f("hard", processor.OutboundTransport, "high", "tcp.DstPort == 4 or udp.DstPort == 4", processor.ActionPermit)
	hard.Hard = true
	short := f("short", processor.InboundTransport, "low", "tcp.DstPort == 5 or tcp.SrcPort == 5", processor.ActionCalloutUnknown)
	short.Callout = shortener{}
	pol, err := processor.NewPolicy([]processor.Sublayer{{Name: "low", Weight: 1}, {Name: "high", Weight: 9}}, []processor.Filter{
		f("connect", processor.ALEAuthConnect, "low", "tcp.DstPort == 1 or udp.DstPort == 1", processor.ActionBlock),
		f("accept", processor.ALEAuthRecvAccept, "low", "tcp.DstPort == 2 or udp.DstPort == 2", processor.ActionBlock),
		stolen, hard, short,
		f("vetoed", processor.OutboundTransport, "low", "tcp.DstPort == 4 or udp.DstPort == 4 or tcp.DstPort == 6", processor.ActionBlock),
		f("tell", processor.DatagramData, "high", "udp.PayloadLength == 4 and inbound", processor.ActionBlock),
		f("echo", processor.InboundIPPacket, "low", "icmp or icmpv6", processor.ActionBlock),
	})
	if err != nil {
		t.Fatal(err)
	}
	return pol
}

// told is all that a run says.
type told struct {
	Received, Passed, Injected uint64
	Dropped                    map[string]uint64
	Filters                    []processor.FilterStats
	Explanations               []*processor.Explanation
}

// tell runs a handle over the script by the processor and, if that is to be explained, another packet by packet by an Explainer. feed brings the script to a
// handle that open opened, and returns when all has been received or will be.
func tell(t testing.TB, pol *processor.Policy, begin func() (h *divertdrv.Handle, feed func()), explained bool) []byte {
	t.Helper()
	h, feed := begin()
	p, err := processor.New(processor.Config{Handles: []*divertdrv.Handle{h}, Policy: pol, Batch: 1, Settle: true})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	feed()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	st := closed(t, h)
	all := told{Received: st.Received, Passed: st.Passed, Injected: st.Injected, Dropped: map[string]uint64{}, Filters: p.Stats().Filters}
	for why, n := range st.Dropped {
		if n > 0 {
			all.Dropped[divertdrv.Cause(why).String()] = n
		}
	}
	if explained {
		h, feed = begin()
		told := make(chan []*processor.Explanation, 1)
		go func() { told <- explain(t, h, pol) }()
		feed()
		_ = h.Shutdown(divertdrv.ShutdownRecv)
		all.Explanations = <-told
		closed(t, h)
	}
	text, err := json.MarshalIndent(all, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func closed(t testing.TB, h *divertdrv.Handle) divertdrv.Stats {
	t.Helper()
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	st := h.Stats()
	if err := st.Conserved(); err != nil {
		t.Error(err)
	}
	return st
}

// explain explains all that the handle receives, and does with it what the explanation says.
func explain(t testing.TB, h *divertdrv.Handle, pol *processor.Policy) (all []*processor.Explanation) {
	x, err := processor.NewExplainer(pol)
	if err != nil {
		t.Error(err)
		return nil
	}
	defer x.Close()
	for b := divertdrv.NewBatch(1, divertdrv.MTUMax); ; {
		if err := h.Recv(b); errors.Is(err, divertdrv.ErrShutdown) {
			return all
		} else if err != nil {
			t.Error(err)
			return all
		}
		p := &b.Packets()[0]
		e := x.Explain(p.Clone())
		all = append(all, e)
		if e.Verdict == "pass" {
			p.Set(divertdrv.Pass, 0)
		} else {
			p.Set(divertdrv.Drop, reason.Filter)
		}
		if err := h.Complete(b); err != nil {
			t.Error(err)
		}
	}
}

func openAt(t testing.TB, d divertdrv.Driver, filter string, priority int16) *divertdrv.Handle {
	t.Helper()
	h, err := divertdrv.Open(filter, divertdrv.Network, &divertdrv.Options{Driver: d, Priority: priority})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() }) // where the test ended early
	return h
}

func onSimulator(t testing.TB, lines []line) func() (*divertdrv.Handle, func()) {
	return func() (*divertdrv.Handle, func()) {
		sim := simdrv.New(simdrv.Config{})
		t.Cleanup(sim.Close)
		h := openAt(t, sim, scripted, 0)
		return h, func() {
			for _, l := range lines {
				bring := sim.Receive
				if l.outbound {
					bring = sim.Send
				}
				if err := bring(slices.Clone(l.data)); err != nil {
					t.Error(err)
				}
			}
			received(t, h, uint64(len(lines)))
		}
	}
}

// onCapture has the script as a capture of raw IP packets, and a host with these addresses.
func onCapture(t testing.TB, lines []line, local []netip.Addr) func() (*divertdrv.Handle, func()) {
	const linkRaw = 101
	file := []byte{0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, linkRaw, 0, 0, 0}
	for i, l := range lines {
		for _, v := range []uint32{1_700_000_000, uint32(i), uint32(len(l.data)), uint32(len(l.data))} {
			file = binary.LittleEndian.AppendUint32(file, v)
		}
		file = append(file, l.data...)
	}
	var prefixes []netip.Prefix
	for _, a := range local {
		prefixes = append(prefixes, netip.PrefixFrom(a, a.BitLen()))
	}
	return func() (*divertdrv.Handle, func()) {
		d, err := pcapdrv.Open(pcapdrv.Options{Reader: bytes.NewReader(file), Local: prefixes})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = d.Close() })
		h := openAt(t, d, scripted, 0)
		return h, func() { received(t, h, uint64(len(lines))) }
	}
}

// received waits until a handle has received so many.
func received(t testing.TB, h *divertdrv.Handle, n uint64) {
	t.Helper()
	if !waitFor(t, fmt.Sprintf("packet %d", n), func() bool { return h.Stats().Received >= n }) {
		t.Fatalf("%+v", h.Stats())
	}
}

// theSame says where two runs differ.
func theSame(t testing.TB, what string, got, want []byte) {
	t.Helper()
	a, b := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			t.Fatalf("%s, line %d: %s\nwant %s\naround\n%s", what, i, a[i], b[i], strings.Join(b[max(0, i-12):i], "\n"))
		}
	}
	if len(a) != len(b) {
		t.Fatalf("%s: %d lines, want %d", what, len(a), len(b))
	}
}

func TestVerdictsAreEqualOnSimulatorAndCapture(t *testing.T) {
	here := [2]netip.Addr{netip.MustParseAddr("10.77.0.1"), netip.MustParseAddr("fd77::1")}
	there := [2]netip.Addr{netip.MustParseAddr("10.77.0.2"), netip.MustParseAddr("fd77::2")}
	lines, pol := script(t, here, there), equalPolicy(t)
	want := tell(t, pol, onSimulator(t, lines), true)
	theSame(t, "pcapdrv", tell(t, pol, onCapture(t, lines, here[:]), true), want)
	var all told
	if err := json.Unmarshal(want, &all); err != nil {
		t.Fatal(err)
	}
	if all.Received != uint64(len(lines)) || len(all.Explanations) != len(lines) || all.Injected == 0 || len(all.Dropped) != 2 {
		t.Errorf("%d lines: %d received, %d explained, %d injected, dropped %v", len(lines), all.Received, len(all.Explanations), all.Injected, all.Dropped)
	}
	for _, f := range all.Filters {
		if f.Matched == 0 {
			t.Errorf("filter %s matched nothing", f.Name)
		}
	}
}

package processor

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/filter"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/inject"
)

// callout makes a Callout of a function.
type callout struct {
	name     string
	classify func(c *Classification) Verdict
}

func (c *callout) Name() string                        { return c.name }
func (c *callout) Classify(cl *Classification) Verdict { return c.classify(cl) }

// bench is a processor over a simulated host, and what left it.
type bench struct {
	t    testing.TB
	sim  *simdrv.Stack
	h    *divertdrv.Handle
	p    *Processor
	mu   sync.Mutex // guards all below
	wire [][]byte
	host [][]byte
}

func newBench(t testing.TB, source simdrv.Source, sublayers []Sublayer, filters ...Filter) *bench {
	t.Helper()
	b := &bench{t: t}
	keep := func(to *[][]byte) func(*divertdrv.Address, []byte) {
		return func(_ *divertdrv.Address, data []byte) {
			b.mu.Lock()
			defer b.mu.Unlock()
			*to = append(*to, slices.Clone(data))
		}
	}
	b.sim = simdrv.New(simdrv.Config{Source: source, OnWire: keep(&b.wire), OnHost: keep(&b.host)})
	h, err := divertdrv.Open("true", divertdrv.Network, &divertdrv.Options{Driver: b.sim})
	if err != nil {
		t.Fatal(err)
	}
	b.h = h
	pol, err := NewPolicy(sublayers, filters)
	if err != nil {
		t.Fatal(err)
	}
	if b.p, err = New(Config{Handles: []*divertdrv.Handle{h}, Policy: pol}); err != nil {
		t.Fatal(err)
	}
	return b
}

// finish runs the processor over what was sent, closes all and checks the law.
func (b *bench) finish() divertdrv.Stats {
	b.t.Helper()
	b.sim.End()
	if err := b.p.Run(context.Background()); err != nil {
		b.t.Fatal(err)
	}
	if err := b.h.Close(); err != nil {
		b.t.Fatal(err)
	}
	b.sim.Close()
	s := b.h.Stats()
	if err := s.Conserved(); err != nil {
		b.t.Error(err)
	}
	if s.InBatch != 0 || s.Held != 0 {
		b.t.Errorf("in batch %d, held %d at the end", s.InBatch, s.Held)
	}
	return s
}

// tcp returns a segment with right checksums; number stands in its payload.
func tcp(dstPort uint16, flags uint8, number byte) []byte {
	b := make([]byte, 41)
	b[0], b[3], b[8], b[9] = 0x45, 41, 64, wire.ProtoTCP
	copy(b[12:], []byte{10, 0, 0, 1, 10, 0, 0, 2})
	b[20], b[21], b[22], b[23] = 0x30, 0x39, byte(dstPort>>8), byte(dstPort)
	b[32], b[33], b[40] = 5<<4, flags, number
	wire.CalcChecksums(b, 0)
	return b
}

func when(t testing.TB, text string) *filter.Program {
	t.Helper()
	p, err := filter.Parse(text, addr.Network)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestFiltersDecideBySublayerAndWeight(t *testing.T) {
	b := newBench(t, nil, []Sublayer{{"low", 1}, {"high", 100}},
		Filter{Name: "low-block-80", Layer: OutboundTransport, Sublayer: "low", When: when(t, "tcp.DstPort == 80"), Action: ActionBlock},
		Filter{Name: "high-permit-80", Layer: OutboundTransport, Sublayer: "high", Weight: 5, Hard: true, When: when(t, "tcp.DstPort == 80 and tcp.Syn"), Action: ActionPermit},
		Filter{Name: "high-block-23", Layer: OutboundTransport, Sublayer: "high", Weight: 1, When: when(t, "tcp.DstPort == 23"), Action: ActionBlock},
		Filter{Name: "high-permit-23", Layer: OutboundTransport, Sublayer: "high", Weight: 9, When: when(t, "tcp.DstPort == 23 and tcp.Syn"), Action: ActionPermit},
		Filter{Name: "packet-block-25", Layer: OutboundIPPacket, When: when(t, "tcp.DstPort == 25"), Action: ActionBlock},
	)
	const syn, ack = 2, 16
	for i, p := range [][]byte{tcp(80, ack, 0), tcp(80, syn, 1), tcp(23, ack, 2), tcp(23, syn, 3), tcp(25, ack, 4), tcp(443, ack, 5)} {
		if err := b.sim.Send(p); err != nil {
			t.Fatal(i, err)
		}
	}
	s := b.finish()
	var passed []byte
	for _, p := range b.wire {
		passed = append(passed, p[40])
	}
	// 80/SYN: a hard permit above beats a plain block below. 23/SYN: the heavier filter of the sublayer decides.
	if want := []byte{1, 3, 5}; !slices.Equal(passed, want) {
		t.Errorf("passed %v, want %v", passed, want)
	}
	if s.Received != 6 || s.Passed != 3 || s.Dropped[reason.Filter] != 3 {
		t.Errorf("stats %+v", s)
	}
	got := map[string]FilterStats{}
	for _, f := range b.p.Stats().Filters {
		got[f.Name] = f
	}
	for name, want := range map[string]FilterStats{
		"low-block-80":    {Matched: 2, Blocked: 1},
		"high-permit-80":  {Matched: 1, Permitted: 1},
		"high-block-23":   {Matched: 1, Blocked: 1},
		"high-permit-23":  {Matched: 1, Permitted: 1},
		"packet-block-25": {Matched: 1, Blocked: 1},
	} {
		f := got[name]
		if f.Matched != want.Matched || f.Permitted != want.Permitted || f.Blocked != want.Blocked {
			t.Errorf("%s: %+v, want %+v", name, f, want)
		}
	}
}

func TestInlineTCPIsRefusedAtTransportAndDeferredWorkGoesIn(t *testing.T) {
	var inline, packetLayer error
	var stale *Classification
	answer := func() inject.Injection {
		return inject.Injection{Packet: divertdrv.NewPacket(divertdrv.Address{}, tcp(4444, 4, 99)), Path: inject.Receive, IfIdx: 1}
	}
	deferred := 0
	b := newBench(t, nil, nil,
		Filter{Name: "t", Layer: OutboundTransport, Action: ActionCalloutUnknown, Callout: &callout{"t", func(c *Classification) Verdict {
			inline, stale = c.Inject(answer()), c
			if !c.Defer(func(d *Deferred) {
				if err := d.Inject(answer()); err != nil {
					t.Errorf("deferred: %v", err)
				}
				deferred++
			}) {
				t.Error("Defer refused")
			}
			return Verdict{Action: Block, Cause: reason.Rejected}
		}}},
		Filter{Name: "p", Layer: InboundIPPacket, Action: ActionCalloutUnknown, Callout: &callout{"p", func(c *Classification) Verdict {
			packetLayer = c.Inject(answer())
			return Verdict{}
		}}},
	)
	_ = b.sim.Send(tcp(80, 2, 0))
	_ = b.sim.Receive(tcp(80, 2, 1))
	s := b.finish()
	if !errors.Is(inline, inject.ErrInlineTCPInjection) {
		t.Errorf("inline at transport: %v", inline)
	}
	if packetLayer != nil {
		t.Errorf("inline at the packet layer: %v", packetLayer)
	}
	if err := stale.Inject(answer()); !errors.Is(err, ErrScopeClosed) {
		t.Errorf("after Classify: %v", err)
	}
	if stale.Defer(func(*Deferred) {}) {
		t.Error("Defer after Classify was taken")
	}
	if deferred != 1 || len(b.host) != 3 || s.Injected != 2 || s.Completed != 2 || s.Dropped[reason.Rejected] != 1 {
		t.Errorf("deferred %d, host got %d, stats %+v", deferred, len(b.host), s)
	}
	if st := b.p.Injectors()[0].Stats(); st.Refused != 1 || st.Completed != 2 {
		t.Errorf("injector %+v", st)
	}
}

// While a flow has deferred work or a held packet its later packets wait; other flows do not.
func TestOrderWithinAFlow(t *testing.T) {
	hold := make(chan *Held, 1)
	b := newBench(t, nil, nil,
		Filter{Name: "f", Layer: OutboundTransport, Action: ActionCalloutUnknown, Callout: &callout{"f", func(c *Classification) Verdict {
			switch c.Packet.Data[40] {
			case 1:
				hd, err := c.Hold(0, divertdrv.Drop)
				if err != nil {
					t.Error(err)
				}
				hold <- hd
			case 3:
				c.Defer(func(d *Deferred) {
					_ = d.Inject(inject.Injection{Packet: divertdrv.NewPacket(divertdrv.Address{}, tcp(80, 16, 33))})
				})
			}
			return Verdict{}
		}}})
	for i := byte(0); i < 6; i++ {
		_ = b.sim.Send(tcp(80, 16, i))
		_ = b.sim.Send(tcp(81, 16, 100+i))
	}
	go func() {
		hd := <-hold
		time.Sleep(20 * time.Millisecond) // long enough for the batch to be completed; the order must not depend on it
		if err := hd.Release(divertdrv.Pass, 0); err != nil {
			t.Error(err)
		}
		b.sim.End()
	}()
	if err := b.p.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	s := b.finishClosed()
	var flow80, flow81 []byte
	for _, p := range b.wire {
		if p[23] == 80 {
			flow80 = append(flow80, p[40])
		} else {
			flow81 = append(flow81, p[40])
		}
	}
	// 3 deferred its injection while it waited itself behind 1.
	if want := []byte{0, 1, 2, 33, 3, 4, 5}; !slices.Equal(flow80, want) {
		t.Errorf("port 80: %v, want %v", flow80, want)
	}
	if want := []byte{100, 101, 102, 103, 104, 105}; !slices.Equal(flow81, want) {
		t.Errorf("port 81: %v, want %v", flow81, want)
	}
	if st := b.p.Stats(); s.Passed != 12 || st.Parked != 4 || st.Held != 1 || st.Deferred != 1 {
		t.Errorf("stats %+v %+v", s, st)
	}
}

// finishClosed is finish for a processor that has run.
func (b *bench) finishClosed() divertdrv.Stats {
	b.t.Helper()
	if err := b.h.Close(); err != nil {
		b.t.Fatal(err)
	}
	b.sim.Close()
	s := b.h.Stats()
	if err := s.Conserved(); err != nil {
		b.t.Error(err)
	}
	return s
}

func TestHeldPacketsTakeTheirDefaultAtTheEnd(t *testing.T) {
	b := newBench(t, nil, nil,
		Filter{Name: "f", Layer: OutboundTransport, Action: ActionCalloutUnknown, Callout: &callout{"f", func(c *Classification) Verdict {
			m := divertdrv.Drop
			if c.Packet.Data[40] == 0 {
				m = divertdrv.Pass
			}
			if _, err := c.Hold(time.Hour, m); err != nil {
				t.Error(err)
			}
			return Verdict{Action: Block} // does not count
		}}})
	for i := byte(0); i < 3; i++ {
		_ = b.sim.Send(tcp(80+uint16(i), 16, i))
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- b.p.Run(ctx) }()
	for b.p.Stats().Held < 3 {
		runtime.Gosched()
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	s := b.finishClosed()
	if len(b.wire) != 1 || s.Passed != 1 || s.Dropped[reason.Abandoned] != 2 || s.Held != 0 {
		t.Errorf("passed %d, stats %+v", len(b.wire), s)
	}
}

// 50,000 mixed packets through one callout and one modification: 0 allocations a packet from Recv to Complete. What is left over
// is the runtime's own (a GC, a timer), a handful whatever the number of packets.
func TestNoAllocationsPerPacket(t *testing.T) {
	const packets, warm = 52_000, 2_000
	var before, after runtime.MemStats
	n, edited := 0, 0
	count := &callout{"count", func(c *Classification) Verdict {
		switch n++; n {
		case warm:
			runtime.ReadMemStats(&before)
		case packets:
			runtime.ReadMemStats(&after)
		}
		if h := c.Headers(); h.Version == 4 && h.Transport == wire.UDP {
			c.Packet.Edit()[8]-- // its TTL, and so its header checksum
			edited++
		}
		return Verdict{}
	}}
	filters := make([]Filter, 0, 2)
	for _, l := range []Layer{InboundIPPacket, OutboundIPPacket} {
		filters = append(filters, Filter{Name: l.String(), Layer: l, Action: ActionCalloutInspection, Callout: count})
	}
	b := newBench(t, simdrv.NewTraffic(7, packets), nil, filters...)
	b.wire, b.host = nil, nil
	b.sim.Close()
	sim := simdrv.New(simdrv.Config{Source: simdrv.NewTraffic(7, packets)})
	h, err := divertdrv.Open("true", divertdrv.Network, &divertdrv.Options{Driver: sim})
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(Config{Handles: []*divertdrv.Handle{h}, Policy: b.p.policy.Load()})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	_ = h.Close()
	s := h.Stats()
	if err := s.Conserved(); err != nil {
		t.Error(err)
	}
	if n != packets || s.Passed != packets || edited == 0 {
		t.Fatalf("%d classified, %d edited, stats %+v", n, edited, s)
	}
	if mallocs := after.Mallocs - before.Mallocs; mallocs > (packets-warm)/1000 {
		t.Errorf("%d allocations over %d packets (%d edited), want 0 a packet", mallocs, packets-warm, edited)
	} else {
		t.Logf("%d allocations over %d packets, %d edited", mallocs, packets-warm, edited)
	}
}

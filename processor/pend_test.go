package processor

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/inject"
	"github.com/weirnet/weir/internal/clock"
)

// pender pends the first packet of a flow and answers, when it is asked again, what it is told to.
type pender struct {
	deadline  time.Duration
	byDefault divertdrv.Mark
	verdict   Verdict
	again     bool // pend also when the packet is shown again

	mu      sync.Mutex // guards all below
	pended  []*Pended
	reauths int
	errs    []error
}

func (p *pender) Name() string { return "pender" }

func (p *pender) Classify(c *Classification) Verdict {
	p.mu.Lock()
	defer p.mu.Unlock()
	if c.Reauth {
		p.reauths++
		if !p.again {
			return p.verdict
		}
	}
	pended, err := c.Pend(p.deadline, p.byDefault)
	if err != nil {
		p.errs = append(p.errs, err)
		return p.verdict
	}
	p.pended = append(p.pended, pended)
	return Verdict{}
}

// running is a processor that runs over a simulated host, on a virtual clock.
type running struct {
	*bench
	clock *clock.Virtual
	ran   chan error
}

func run(t *testing.T, filters ...Filter) *running {
	t.Helper()
	r := &running{bench: &bench{t: t}, clock: clock.NewVirtual(time.Unix(0, 0)), ran: make(chan error, 1)}
	keep := func(to *[][]byte) func(*divertdrv.Address, []byte) {
		return func(_ *divertdrv.Address, data []byte) {
			r.mu.Lock()
			defer r.mu.Unlock()
			*to = append(*to, append([]byte(nil), data...))
		}
	}
	r.sim = simdrv.New(simdrv.Config{Clock: r.clock, OnWire: keep(&r.wire), OnHost: keep(&r.host)})
	h, err := divertdrv.Open("true", divertdrv.Network, &divertdrv.Options{Driver: r.sim})
	if err != nil {
		t.Fatal(err)
	}
	r.h = h
	if r.p, err = New(Config{Handles: []*divertdrv.Handle{h}, Policy: policyOf(t, filters...), Clock: r.clock}); err != nil {
		t.Fatal(err)
	}
	go func() { r.ran <- r.p.Run(context.Background()) }()
	return r
}

// until waits for what must come.
func (r *running) until(what string, ok func() bool) {
	r.t.Helper()
	for range 10_000 {
		if ok() {
			return
		}
		time.Sleep(time.Millisecond)
	}
	r.t.Fatalf("never: %s; %+v", what, r.p.Stats())
}

// left is how many packets have left to the wire. (The simulator's lock is held while they do, so no other may be taken under it.)
func (r *running) left() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.wire)
}

func (r *running) end() divertdrv.Stats {
	r.t.Helper()
	r.sim.End()
	if err := errors.Join(<-r.ran, r.h.Close()); err != nil {
		r.t.Error(err)
	}
	r.sim.Close()
	s := r.h.Stats()
	if err := s.Conserved(); err != nil || s.Held != 0 || s.InBatch != 0 {
		r.t.Errorf("%v, %+v", err, s)
	}
	return s
}

func (r *running) send(packets ...[]byte) {
	r.t.Helper()
	for _, p := range packets {
		if err := r.sim.Send(p); err != nil {
			r.t.Fatal(err)
		}
	}
}

func authFilter(c Callout) Filter {
	return Filter{Name: "auth", Layer: ALEAuthConnect, Action: ActionCalloutUnknown, Callout: c}
}

// What is pended is classified again, and its flow's packets wait behind it and share its fate.
func TestPendAndComplete(t *testing.T) {
	for _, c := range []struct {
		name    string
		verdict Verdict
		passed  int
	}{{"permitted", Verdict{Action: Permit}, 3}, {"blocked", Verdict{Action: Block, Cause: reason.Callout}, 0}} {
		t.Run(c.name, func(t *testing.T) {
			p := &pender{verdict: c.verdict}
			seen := &scribe{lines: []string{""}}
			r := run(t, authFilter(p), Filter{Name: "data", Layer: DatagramData, Action: ActionCalloutInspection, Callout: seen})
			r.send(udpOf(here, there), udpOf(here, there), udpOf(here, there))
			r.until("three packets held", func() bool { return r.h.Stats().Held == 3 })
			if n := r.left(); n != 0 {
				t.Errorf("%d packets left before the flow was authorised", n)
			}
			if err := p.pended[0].Complete(); err != nil {
				t.Fatal(err)
			}
			if err := p.pended[0].Complete(); !errors.Is(err, divertdrv.ErrReleased) {
				t.Errorf("completed twice: %v", err)
			}
			r.until("none is held", func() bool { return r.h.Stats().Held == 0 })
			s := r.end()
			if len(r.wire) != c.passed || s.Dropped[reason.Callout] != uint64(3-c.passed) || p.reauths != 1 {
				t.Errorf("%d passed, want %d; reauthorised %d times; %+v", len(r.wire), c.passed, p.reauths, s)
			}
			if len(p.errs) != 0 || r.p.Stats().Pended != 1 {
				t.Errorf("errors %v, pended %d", p.errs, r.p.Stats().Pended)
			}
		})
	}
}

// A second pend of the same packet is refused.
func TestSecondPendIsRefused(t *testing.T) {
	p := &pender{verdict: Verdict{Action: Permit}, again: true}
	r := run(t, authFilter(p))
	r.send(tcpOf(here, there, synFlag))
	r.until("the packet is held", func() bool { return r.h.Stats().Held == 1 })
	if err := p.pended[0].Complete(); err != nil {
		t.Fatal(err)
	}
	r.until("the packet has passed", func() bool { return r.left() == 1 })
	r.end()
	if len(p.errs) != 1 || !errors.Is(p.errs[0], ErrCannotPend) {
		t.Errorf("errors %v, want ErrCannotPend", p.errs)
	}
}

// Its deadline gives a pended packet its default; a flow that was not authorised in time is none, so its next packet asks again.
func TestPendExpires(t *testing.T) {
	for _, byDefault := range []divertdrv.Mark{divertdrv.Pass, divertdrv.Drop} {
		p := &pender{verdict: Verdict{Action: Permit}, deadline: time.Second, byDefault: byDefault}
		r := run(t, authFilter(p))
		r.send(udpOf(here, there), udpOf(here, there))
		r.until("both are held", func() bool { return r.h.Stats().Held == 2 })
		r.clock.Advance(time.Second)
		r.until("none is held", func() bool { return r.h.Stats().Held == 0 })
		if err := p.pended[0].Complete(); !errors.Is(err, divertdrv.ErrReleased) {
			t.Errorf("completed after its deadline: %v", err)
		}
		r.send(udpOf(here, there))
		want := 1
		if byDefault == divertdrv.Drop {
			want = 2
			r.until("the next one is pended too", func() bool { p.mu.Lock(); defer p.mu.Unlock(); return len(p.pended) == 2 })
		} else {
			r.until("the next one passes", func() bool { return r.left() == 3 })
		}
		s := r.end()
		if len(p.pended) != want || byDefault == divertdrv.Drop && s.Dropped[reason.Expired] != 2 {
			t.Errorf("%v: pended %d times, %+v", byDefault, len(p.pended), s)
		}
	}
}

func TestPendElsewhereIsRefused(t *testing.T) {
	p := &pender{verdict: Verdict{Action: Permit}}
	filters := []Filter{authFilter(&callout{"ok", func(*Classification) Verdict { return Verdict{Action: Permit} }})}
	for _, l := range []Layer{ALEAuthRecvAccept, ALEFlowEstablished, DatagramData, OutboundTransport, OutboundIPPacket} {
		filters = append(filters, Filter{Name: l.String(), Layer: l, Action: ActionCalloutUnknown, Callout: p})
	}
	r := run(t, filters...)
	r.send(udpOf(here, there))
	r.until("it has passed", func() bool { return r.left() == 1 })
	r.end()
	if len(p.errs) != 4 {
		t.Errorf("errors %v, want ErrCannotPend at four layers", p.errs)
	}
}

// Blocking at flow-established is refused without a reason; with one both ends are reset and the flow is over.
func TestBlockAtFlowEstablished(t *testing.T) {
	const remedy = "; decide at ale-auth-connect or ale-auth-recv-accept (rule: block-at-established)"
	for _, c := range []struct {
		name    string
		verdict Verdict
		setting inject.Setting
		resets  int
		report  string
	}{
		{"bare", Verdict{Action: Block}, inject.Enforce, 0, `filter "late": callout "late": BLOCK at ale-flow-established needs a security reason` + remedy},
		{"bare, reported", Verdict{Action: Block}, inject.Report, 2, `filter "late": callout "late": BLOCK at ale-flow-established needs a security reason` + remedy},
		{"bare, off", Verdict{Action: Block}, inject.Off, 2, ""},
		{"with a reason", Verdict{Action: Block, Reason: "the certificate was revoked"}, inject.Enforce, 2, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var told []string
			r := run(t)
			r.p.rules.BlockAtEstablished = c.setting
			r.p.violations.tell = func(v Violation) { told = append(told, v.String()) }
			late := &callout{"late", func(*Classification) Verdict { return c.verdict }}
			k := &keeper{forLayer: OutboundTransport}
			if _, err := r.p.Apply(policyOf(t,
				Filter{Name: "keep", Layer: ALEFlowEstablished, Weight: 2, Action: ActionCalloutInspection, Callout: k},
				Filter{Name: "late", Layer: ALEFlowEstablished, Weight: 1, Action: ActionCalloutUnknown, Callout: late})); err != nil {
				t.Fatal(err)
			}
			r.send(tcpOf(here, there, synFlag))
			r.until("the SYN is out", func() bool { return r.left() == 1 })
			if err := r.sim.Receive(tcpOf(there, here, synAck)); err != nil {
				t.Fatal(err)
			}
			r.until("the SYN ACK is judged", func() bool {
				s := r.h.Stats()
				return s.Received == 2 && s.InBatch == 0 && s.Injected == uint64(c.resets)
			})
			r.send(tcpOf(here, there, ackFlag))
			s := r.end()
			resets := 0
			for _, b := range append(r.wire, r.host...) {
				if headersOf(b).TCP(b).Flags()&4 != 0 {
					resets++
				}
			}
			aborted := c.resets > 0
			if resets != c.resets || (s.Passed == 3) == aborted || (r.p.Stats().Aborted == 1) != aborted {
				t.Errorf("%d resets, want %d; passed %d, aborted %d", resets, c.resets, s.Passed, r.p.Stats().Aborted)
			}
			if len(k.deleted) != 1 {
				t.Errorf("flow delete: %v", k.deleted)
			}
			if c.report == "" && len(told) != 0 || c.report != "" && (len(told) != 1 || told[0] != c.report) {
				t.Errorf("told %q, want %q", told, c.report)
			}
		})
	}
}

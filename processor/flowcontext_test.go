package processor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/internal/clock"
)

// keeper associates a context with every flow at its establishing, for DATAGRAM_DATA and the transport layers.
type keeper struct {
	conditional bool
	forLayer    Layer
	seen        int
	deleted     []string
	errs        []error
}

func (k *keeper) Name() string            { return "keeper" }
func (k *keeper) ConditionalOnFlow() bool { return k.conditional }

func (k *keeper) Classify(c *Classification) Verdict {
	if c.Layer != ALEFlowEstablished {
		k.seen++
		return Verdict{}
	}
	k.errs = append(k.errs, c.Flow.Associate(k.forLayer, k, "context"))
	return Verdict{}
}

func (k *keeper) FlowDelete(f *Flow, l Layer, value any) {
	k.deleted = append(k.deleted, fmt.Sprintf("%v %v", l, value))
}

func (k *keeper) establishing() Filter {
	return Filter{Name: "associate", Layer: ALEFlowEstablished, Action: ActionCalloutInspection, Callout: k}
}

func openTCP(st *stage) {
	st.out(tcpOf(here, there, synFlag))
	st.in(tcpOf(there, here, synAck))
	st.out(tcpOf(here, there, ackFlag))
}

// FlowDelete is called once, on every way in which a flow ends.
func TestFlowDelete(t *testing.T) {
	for name, end := range map[string]func(st *stage, k *keeper){
		"FIN": func(st *stage, _ *keeper) {
			st.out(tcpOf(here, there, ackFlag|wire.FIN))
			st.in(tcpOf(there, here, ackFlag|wire.FIN))
			st.out(tcpOf(here, there, ackFlag))
		},
		"RST in":  func(st *stage, _ *keeper) { st.in(tcpOf(there, here, wire.RST)) },
		"RST out": func(st *stage, _ *keeper) { st.out(tcpOf(here, there, wire.RST)) },
		"abort": func(st *stage, _ *keeper) {
			f, _, _ := st.p.workers[0].flows.find(tcpOf(here, there, ackFlag), headersOf(tcpOf(here, there, ackFlag)), st.p.now())
			k := &st.p.workers[0].classifier
			k.c = Classification{Packet: divertdrv.NewPacket(divertdrv.Address{}, tcpOf(here, there, ackFlag)), Flow: f, k: k, open: true}
			if !k.c.Abort(reason.Callout) {
				st.t.Error("abort was refused")
			}
			if st.out(tcpOf(here, there, ackFlag)) || st.in(tcpOf(there, here, ackFlag)) {
				st.t.Error("a packet of an aborted flow passes")
			}
		},
		"policy": func(st *stage, _ *keeper) {
			if _, err := st.p.Apply(policyOf(st.t)); err != nil {
				st.t.Fatal(err)
			}
			st.out(tcpOf(here, there, ackFlag))
		},
		"idle": func(st *stage, _ *keeper) {
			st.p.clock.(*clock.Virtual).Advance(3 * time.Hour)
			st.p.workers[0].tick()
		},
		"idle, and then another packet": func(st *stage, _ *keeper) {
			st.p.clock.(*clock.Virtual).Advance(3 * time.Hour)
			st.out(tcpOf(here, there, ackFlag))
		},
		"shutdown": func(st *stage, _ *keeper) { st.p.workers[0].finish() },
		"dissociated": func(st *stage, k *keeper) {
			f, _, _ := st.p.workers[0].flows.find(tcpOf(here, there, ackFlag), headersOf(tcpOf(here, there, ackFlag)), st.p.now())
			if err := errors.Join(f.Dissociate(OutboundTransport, k)); err != nil {
				st.t.Error(err)
			}
			if err := f.Dissociate(OutboundTransport, k); !errors.Is(err, ErrNoContext) {
				st.t.Errorf("twice: %v", err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			k := &keeper{forLayer: OutboundTransport}
			st := newStage(t, k.establishing())
			st.virtual()
			openTCP(st)
			if len(k.errs) != 1 || k.errs[0] != nil || len(k.deleted) != 0 {
				t.Fatalf("associated %v, deleted %v", k.errs, k.deleted)
			}
			end(st, k)
			st.p.workers[0].finish()
			if want := []string{"outbound-transport context"}; !slices.Equal(k.deleted, want) {
				t.Errorf("deleted %v, want %v", k.deleted, want)
			}
			if n := st.p.workers[0].flows.contexts.Load(); n != 0 {
				t.Errorf("%d contexts are counted", n)
			}
		})
	}
}

func TestConditionalOnFlow(t *testing.T) {
	for _, c := range []struct {
		conditional bool
		forLayer    Layer
		want        int
	}{{false, DatagramData, 2}, {true, DatagramData, 2}, {true, OutboundIPPacket, 0}} {
		k := &keeper{conditional: c.conditional, forLayer: c.forLayer}
		st := newStage(t, Filter{Name: "data", Layer: DatagramData, Action: ActionCalloutInspection, Callout: k})
		// The one that associates runs always.
		associate := &callout{"associate", func(cl *Classification) Verdict {
			if err := cl.Flow.Associate(c.forLayer, k, 1); err != nil {
				t.Error(err)
			}
			if err := cl.Flow.Associate(c.forLayer, k, 2); !errors.Is(err, ErrContextExists) {
				t.Errorf("twice: %v", err)
			}
			if v, ok := cl.Flow.Context(c.forLayer, k); !ok || v != 1 {
				t.Errorf("context %v, %v", v, ok)
			}
			return Verdict{}
		}}
		if _, err := st.p.Apply(policyOf(t,
			Filter{Name: "associate", Layer: ALEFlowEstablished, Action: ActionCalloutInspection, Callout: associate},
			Filter{Name: "data", Layer: DatagramData, Action: ActionCalloutInspection, Callout: k})); err != nil {
			t.Fatal(err)
		}
		st.out(udpOf(here, there))
		st.in(udpOf(there, here))
		if k.seen != c.want {
			t.Errorf("%+v: run %d times", c, k.seen)
		}
	}
}

func TestAssociateRefuses(t *testing.T) {
	f := &Flow{table: newFlowTable(1, newOrder(1, 1), Timeouts{}, nil)}
	if err := f.Associate(DatagramData, &scribe{}, 1); !errors.Is(err, ErrInvalidParameter) {
		t.Errorf("a callout without FlowDelete: %v", err)
	}
	if err := f.Associate(DatagramData, &keeper{}, nil); !errors.Is(err, ErrInvalidParameter) {
		t.Errorf("no value: %v", err)
	}
}

// panicker's FlowDelete panics; that is contained and counted.
type panicker struct{ keeper }

func (p *panicker) FlowDelete(*Flow, Layer, any) { panic("flow delete") }

func TestAPanicOfFlowDeleteIsContained(t *testing.T) {
	p := &panicker{}
	st := newStage(t, Filter{Name: "associate", Layer: ALEFlowEstablished, Action: ActionCalloutInspection, Callout: &callout{"a", func(c *Classification) Verdict {
		if err := c.Flow.Associate(DatagramData, p, 1); err != nil {
			t.Error(err)
		}
		return Verdict{}
	}}})
	st.out(udpOf(here, there))
	st.p.workers[0].finish()
	if n := st.p.Stats().Panics; n != 1 {
		t.Errorf("%d panics are counted", n)
	}
}

// With no packets coming, a tick of the clock ends flows that are over.
func TestIdleFlowsEndWithoutPackets(t *testing.T) {
	v := clock.NewVirtual(time.Unix(0, 0))
	sim := simdrv.New(simdrv.Config{Clock: v})
	h, err := divertdrv.Open("true", divertdrv.Network, &divertdrv.Options{Driver: sim})
	if err != nil {
		t.Fatal(err)
	}
	deleted := make(chan struct{}, 1)
	k := &notifier{deleted: deleted}
	p, err := New(Config{Handles: []*divertdrv.Handle{h}, Policy: policyOf(t, k.filter()), Clock: v})
	if err != nil {
		t.Fatal(err)
	}
	ran := make(chan error)
	go func() { ran <- p.Run(context.Background()) }()
	if err := sim.Send(udpOf(here, there)); err != nil {
		t.Fatal(err)
	}
	for gone := false; !gone; {
		select {
		case <-deleted:
			gone = true
		case <-time.After(time.Millisecond):
			v.Advance(time.Second)
		}
	}
	if n := p.Stats().FlowsIdle; n != 1 {
		t.Errorf("%d flows ended idle", n)
	}
	sim.End()
	if err := <-ran; err != nil {
		t.Error(err)
	}
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	sim.Close()
}

type notifier struct{ deleted chan struct{} }

func (n *notifier) Name() string { return "notifier" }

func (n *notifier) Classify(c *Classification) Verdict {
	_ = c.Flow.Associate(DatagramData, n, 1)
	return Verdict{}
}

func (n *notifier) FlowDelete(*Flow, Layer, any) { n.deleted <- struct{}{} }

func (n *notifier) filter() Filter {
	return Filter{Name: "n", Layer: ALEFlowEstablished, Action: ActionCalloutInspection, Callout: n}
}

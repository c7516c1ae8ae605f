package nfqueue

import (
	"cmp"
	"context"
	"errors"
	"os"
	"slices"
	"time"

	"github.com/weirnet/weir/bench"
)

// measure is one of the scenario's cases.
type measure struct {
	name string
	by   string
	bare bool // variants that do not divert tell something
	at   addresses
	only []string // these variants; nil: all
	take func(ctx context.Context, t *trial, s *bench.Sample) error
}

var measures = []measure{
	{MeasureRate, bench.ByRate, true, addresses4, nil, takeRate},
	{MeasureTCP, bench.ByBytes, true, addresses4, nil, takeTCP},
	{MeasureLatency, AddedTime, false, addresses4, nil, takeLatency},
	{MeasureApart, AddedTime, false, addresses4, []string{Ours, OurSpin, NoQueue, PeerBatch}, takeLatency},
	{MeasureFlood, ArrivedShare, false, addresses4, nil, takeFlood},
	{MeasureRate6, bench.ByRate, true, addresses6, []string{Ours, OurOther, NoQueue, PeerBatch}, takeRate},
}

// The filters of our programs.
const (
	matchAll  = "tcp or udp"
	matchNone = "tcp.DstPort == 1 or udp.DstPort == 1"
)

// Scenario is the live path. It needs root, and programs of peers where they are to take part.
func Scenario(c Config) bench.Scenario {
	s := scenario()
	if os.Geteuid() != 0 {
		s.Unable = bench.Unablef("it makes network namespaces: run it as root")
		return s
	}
	for _, m := range measures {
		if c.Measures != nil && !slices.Contains(c.Measures, m.name) {
			continue
		}
		s.Cases = append(s.Cases, bench.Case{Params: bench.P("measure", m.name), By: m.by, Variants: c.variants(m)})
	}
	return s
}

// variants are what is measured; the first is what others are compared with.
func (c Config) variants(m measure) []bench.Variant {
	own := func(loop Loop, filter string) contestant {
		return contestant{argv: slices.Concat(c.Self, []string{string(loop), filter}), ready: readyLine}
	}
	all := []bench.Variant{
		m.variant(Ours, "Recv, mark, Complete over a handle of nfqdrv", own(HandleLoop, matchAll)),
		m.variant(OurPipeline, "the same through a processor that permits all", own(ProcessorLoop, matchAll)),
	}
	if m.bare {
		all = append(all, m.variant(OurOther, "a handle whose filter matches nothing of it", own(HandleLoop, matchNone)),
			m.variant(OurCut, "flows are judged when they are seen, and stay in the kernel", own(JudgeLoop, matchAll)))
	}
	if m.name == MeasureApart {
		all = append(all, m.variant(OurSpin, "looks for packets without a pause for a while before it waits", own(SpinLoop, matchAll)))
	}
	all = append(all, m.variant(NoQueue, "the router forwards, and nobody diverts", contestant{}))
	for _, p := range c.Peers {
		v := m.variant(p.Name, p.About, contestant{argv: p.Argv, why: p.Why, peer: true, rule: !p.OwnRule, ready: cmp.Or(p.Ready, readyLine), settle: p.Settle, window: p.Window})
		v.Peer = true
		all = append(all, v)
	}
	if m.only != nil {
		all = slices.DeleteFunc(all, func(v bench.Variant) bool { return !slices.Contains(m.only, v.Name) })
	}
	return all
}

// contestant is a program that takes part.
type contestant struct {
	argv []string // nil: there is none, as in NoQueue
	why  string   // why it cannot run
	peer bool     // it is others'
	rule bool     // the router has to be told to divert

	ready  string        // what it says in a line when it is ready
	settle time.Duration // how long it must run then to be believed

	window int // datagrams on their way at once; 0: windowDefault
}

func (m measure) variant(name, about string, c contestant) bench.Variant {
	return bench.Variant{Name: name, About: about, Start: func(ctx context.Context, _ bench.Env) (bench.Trial, error) {
		if c.why != "" {
			return bench.Trial{}, bench.Unablef("%s", c.why)
		}
		t, err := m.begin(ctx, c)
		if err != nil {
			return bench.Trial{}, err
		}
		return bench.Trial{Run: t.run, Close: t.lab.close}, nil
	}}
}

// begin makes a lab for a contestant, and has its program run once to see that it can.
func (m measure) begin(ctx context.Context, c contestant) (t *trial, err error) {
	t = &trial{measure: m, contestant: c}
	if t.lab, err = newLab(m.at); err != nil {
		return nil, bench.Unablef("%v", err)
	}
	err = t.try(ctx)
	if err != nil {
		err = errors.Join(err, t.lab.close())
	}
	return t, err
}

func (t *trial) try(ctx context.Context) error {
	if t.rule {
		if err := t.lab.divert(); err != nil {
			return bench.Unablef("%v", err)
		}
	}
	if t.argv == nil {
		return nil
	}
	p, err := t.start(ctx, t.lab.router)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return bench.Unablef("%v", err)
	}
	_, err = p.stop()
	return err
}

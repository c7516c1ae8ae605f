package processor

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/inject"
	"github.com/weirnet/weir/internal/clock"
)

// Config of a processor.
type Config struct {
	Handles  []*divertdrv.Handle // at NETWORK or NETWORK_FORWARD; they stay the caller's to close
	Policy   *Policy             // nil: permit all
	Injector *inject.Injector    // nil: one over each handle; else for a single handle only, and the caller's to close

	Rules       Rules           // what is done about breaches of the considerations; the zero value enforces all
	OnViolation func(Violation) // called by whoever finds one; must not block. nil: they are counted only
	Verify      bool            // also look for TCP that is injected from a classification by a back door; takes a lock per packet
	Budget      time.Duration   // what a callout may take for a packet; 0: BudgetDefault
	Timeouts    Timeouts        // of flows
	Clock       clock.Clock     // nil: that of the first handle
	PacketTime  bool            // flows age, and Classification.Now tells, by Address.Timestamp: for captures and simulations

	Batch int // packets a reader takes at once, 1 to BatchMax; 0: 64
	Flows int // flows that a reader remembers; 0: 16384; at least twice Jobs
	Jobs  int // deferred calls and waiting packets at any time; 0: 4096

	// Settle makes a reader wait, after each batch, for what was deferred in it: for captures and simulations, whose output
	// then does not depend on timing. Held packets are not waited for.
	Settle bool
	// Drain is how long Run waits at its end for deferred work; 0: 5 s.
	Drain time.Duration
}

const (
	batchDefault = 64
	flowsDefault = 16384
	jobsDefault  = 4096
	drainDefault = 5 * time.Second
	jobsMax      = 1 << 20
	// A batch's block takes that many packets of Ethernet size, and at least one of the largest.
	batchBytes = 2048
)

// Processor classifies what its handles receive.
type Processor struct {
	policy     atomic.Pointer[Policy]
	callouts   atomic.Pointer[callouts] // those that are registered
	changing   sync.Mutex               // held while policy or callouts are replaced
	static     *Session                 // of transactions whose objects stay
	rules      Rules
	violations violations
	budget     time.Duration
	clock      clock.Clock
	epoch      time.Time // what flows' times count from
	guard      *inject.Guard
	handles    []*divertdrv.Handle
	injectors  []*inject.Injector // those that are the processor's own
	workers    []*worker
	order      *order
	held       heldSet
	settles    bool
	packetTime bool
	drain      time.Duration
	ctx        context.Context // ends settling when Run is cancelled
	started    atomic.Bool
	running    atomic.Bool // deferred work can be waited for
}

// New returns a processor that is ready to Run. The error says which part of cfg cannot be.
func New(cfg Config) (*Processor, error) {
	if err := cfg.complete(); err != nil {
		return nil, fmt.Errorf("processor.New: %w", err)
	}
	queues := runtime.GOMAXPROCS(0)
	if cfg.Settle {
		queues = 1 // or what two flows defer would go out in any order
	}
	o := newOrder(cfg.Jobs, queues)
	p := &Processor{
		handles: cfg.Handles, order: o, settles: cfg.Settle, packetTime: cfg.PacketTime, drain: cfg.Drain, ctx: context.Background(),
		rules: cfg.Rules, violations: violations{tell: cfg.OnViolation}, clock: cfg.Clock, epoch: cfg.Clock.Now(),
		budget: cfg.Budget,
	}
	if cfg.Verify {
		p.guard = inject.NewGuard(0)
	}
	p.static = p.OpenSession()
	p.callouts.Store(&callouts{})
	if err := p.callouts.Load().announce(changed(&Policy{}, cfg.Policy)); err != nil {
		return nil, fmt.Errorf("processor.New: %w", err)
	}
	p.policy.Store(cfg.Policy)
	origins := inject.NewOrigins()
	for _, h := range cfg.Handles {
		injector := cfg.Injector
		if injector == nil {
			own, err := inject.New(h, inject.Config{
				Rules: cfg.Rules.Injection, OnViolation: p.injectionViolated, Guard: p.guard, Origins: origins, Clock: cfg.Clock,
			})
			if err != nil {
				return nil, fmt.Errorf("processor.New: %w", err)
			}
			injector = own
			p.injectors = append(p.injectors, own)
		}
		for range h.Options().Readers {
			p.workers = append(p.workers, newWorker(p, h, injector, &cfg))
		}
	}
	p.adviseOn(cfg.Policy, everyFilter)
	return p, nil
}

func newWorker(p *Processor, h *divertdrv.Handle, injector *inject.Injector, cfg *Config) *worker {
	w := &worker{p: p, h: h, batch: divertdrv.NewBatch(cfg.Batch, max(cfg.Batch*batchBytes, 2*divertdrv.MTUMax))}
	w.classifier = classifier{w: w, injector: injector, counts: new(counters), batch: w.batch}
	w.flows = newFlowTable(cfg.Flows, p.order, cfg.Timeouts, &w.counts.panics)
	w.cuts, w.flows.recall = h.Caps().CutThrough, w.recall
	return w
}

// complete checks the configuration and fills in defaults.
func (c *Config) complete() error {
	if len(c.Handles) == 0 || slices.Contains(c.Handles, nil) {
		return errors.New("at least one handle is needed, and none may be nil")
	}
	for _, h := range c.Handles {
		if l := h.Layer(); l != divertdrv.Network && l != divertdrv.NetworkForward {
			return fmt.Errorf("a handle at layer %v: its events are not packets to classify", l)
		}
	}
	if c.Injector != nil && len(c.Handles) > 1 {
		return errors.New("an Injector puts packets in through one handle: leave it nil for several")
	}
	if c.Policy == nil {
		c.Policy, _ = NewPolicy(nil, nil)
	}
	fill := func(v *int, def int) {
		if *v == 0 {
			*v = def
		}
	}
	fill(&c.Batch, batchDefault)
	fill(&c.Jobs, jobsDefault)
	fill(&c.Flows, max(flowsDefault, 2*c.Jobs))
	if c.Clock == nil {
		c.Clock = c.Handles[0].Clock()
	}
	if c.Drain == 0 {
		c.Drain = drainDefault
	}
	if c.Budget == 0 {
		c.Budget = BudgetDefault
	}
	if c.Batch < 1 || c.Batch > divertdrv.BatchMax || c.Jobs < 1 || c.Jobs > jobsMax || c.Flows < 2*c.Jobs || c.Drain < 0 || c.Budget < 0 {
		return fmt.Errorf("batch %d (1 to %d), jobs %d (1 to %d), flows %d (at least twice the jobs), drain %v and budget %v (0 or more)",
			c.Batch, divertdrv.BatchMax, c.Jobs, jobsMax, c.Flows, c.Drain, c.Budget)
	}
	return nil
}

// Run processes packets until every handle gives no more, or ctx ends: then receiving is shut down, what was queued is still
// judged, and held packets take their default. It returns nil after all is drained; else what broke, once everything that can
// be has been drained. It may be called once.
func (p *Processor) Run(ctx context.Context) error {
	if p.started.Swap(true) {
		return errors.New("processor: Run was called before")
	}
	if err := p.order.start(); err != nil {
		return fmt.Errorf("processor: %w", err)
	}
	p.ctx = ctx
	p.running.Store(true)
	defer p.running.Store(false)
	stop := p.keepTime()
	runErr := p.runWorkers(ctx)
	stop()
	p.held.releaseAll(p.letGo)
	return errors.Join(runErr, p.finish())
}

// letGo lets what waited behind a held packet go on before the next one does, where output must not depend on timing.
func (p *Processor) letGo() {
	if !p.settles {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), p.drain)
	defer cancel()
	_ = p.order.settle(ctx) // finish tells of work that does not end
}

// Settle waits until what was deferred so far, and can run, has run. It is for who releases held packets and wants to see what
// follows from it: a test, a simulation. It may be called from any goroutine while Run runs, but not from deferred work; the
// error is ctx's, or that of a deferred call that does not end.
func (p *Processor) Settle(ctx context.Context) error {
	if !p.running.Load() {
		return errors.New("processor: Settle while Run does not run")
	}
	return p.order.settle(ctx)
}

// now is the time of flows.
func (p *Processor) now() int64 { return int64(p.clock.Now().Sub(p.epoch)) }

// tickEvery is how often flows that are over are looked for while no packets come.
const tickEvery = time.Second

// keepTime has the workers look for flows that are over, until the function that it returns is called.
func (p *Processor) keepTime() (stop func()) {
	var mu sync.Mutex
	var timer clock.Timer
	over := false
	var tick func()
	tick = func() {
		for _, w := range p.workers {
			w.tick()
		}
		mu.Lock()
		defer mu.Unlock()
		if !over {
			timer = p.clock.AfterFunc(tickEvery, tick)
		}
	}
	timer = p.clock.AfterFunc(tickEvery, tick)
	return func() {
		mu.Lock()
		defer mu.Unlock()
		over = true
		timer.Stop()
	}
}

// runWorkers returns when all workers have ended; the first failure shuts the other handles down.
func (p *Processor) runWorkers(ctx context.Context) error {
	stop := context.AfterFunc(ctx, p.shutdown)
	defer stop()
	errs := make([]error, len(p.workers))
	var wg sync.WaitGroup
	for i, w := range p.workers {
		wg.Go(func() {
			if errs[i] = w.run(); errs[i] != nil {
				p.shutdown()
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (p *Processor) shutdown() {
	for _, h := range p.handles {
		_ = h.Shutdown(divertdrv.ShutdownRecv) // a handle that cannot be shut down is closed, which ends its readers too
	}
}

// finish waits for deferred work and pending injections.
func (p *Processor) finish() error {
	ctx, cancel := context.WithTimeout(context.Background(), p.drain)
	defer cancel()
	errs := []error{p.order.settle(ctx), p.order.close(p.drain)}
	for _, j := range p.injectors {
		errs = append(errs, j.Close(p.drain))
	}
	for _, w := range p.workers {
		w.finish()
	}
	return errors.Join(errs...)
}

// Change is what a new policy changed, by names of filters.
type Change struct {
	Added, Removed []string
}

// Apply swaps the policy, atomically: each batch is judged by one policy. It may be called from any goroutine at any time.
// What transactions and sessions added is replaced too. ErrCalloutNotification: a callout refuses a filter that names it, and the
// policy in force stays.
func (p *Processor) Apply(pol *Policy) (Change, error) {
	if pol == nil {
		return Change{}, errors.New("processor: Apply needs a policy")
	}
	p.changing.Lock()
	defer p.changing.Unlock()
	return p.apply(pol)
}

// apply needs p.changing.
func (p *Processor) apply(pol *Policy) (Change, error) {
	old, known := p.policy.Load(), p.callouts.Load()
	if err := known.announce(changed(old, pol)); err != nil {
		return Change{}, err
	}
	p.policy.Store(pol)
	p.recallAll()
	known.withdraw(changed(pol, old))
	p.adviseOn(pol, everyFilter)
	return Change{Added: missing(pol, old), Removed: missing(old, pol)}, nil
}

// missing returns the filters of a that b has not.
func missing(a, b *Policy) []string {
	var names []string
	for _, n := range a.Filters() {
		if !b.has(n) {
			names = append(names, n)
		}
	}
	return names
}

// Injectors returns the processor's own injectors, one per handle.
func (p *Processor) Injectors() []*inject.Injector { return p.injectors }

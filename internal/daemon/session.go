package daemon

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/filter"
	"github.com/weirnet/weir/internal/control"
	"github.com/weirnet/weir/processor"
	"github.com/weirnet/weir/processor/policy"
)

// ErrTimeout is why a run drains whose time is over.
var ErrTimeout = errors.New("the time is over")

// Session is an open driver with its handles and a processor over them. Run ends it.
type Session struct {
	plan    atomic.Pointer[Plan] // the one in force
	log     Log
	begun   time.Time
	driver  backend
	swap    *swapper
	meter   meter
	handles []*divertdrv.Handle
	meters  []*meteredConn // of the handles
	proc    *processor.Processor
	verify  *verifier // nil: nobody asked

	changing chan struct{} // holds one while the session is reloaded, paused or resumed; guards all below
	started  []starter     // callouts that are to be closed

	state    atomic.Pointer[string] // one of control's
	loadedAt atomic.Pointer[time.Time]
	read     atomic.Pointer[stamps] // the policy's files when they were last read
	reloads  reloads
	revived  revived
	watchers watchers
	explains explains
	ready    func()                           // called when handles are open and their readers start; nil: nobody waits
	served   atomic.Pointer[control.Counters] // of the control API; nil: there is none

	broken context.Context // ends when the output breaks, with the cause
	fail   context.CancelCauseFunc
	ending context.Context // ends when draining begins
	end    context.CancelFunc
	others sync.WaitGroup // goroutines that end with ending
}

// Open opens what the plan says. It blocks while a capture that is a pipe has given nothing. An error leaves nothing open.
func Open(plan Plan, log Log) (*Session, error) {
	s := &Session{log: log, begun: time.Now(), changing: make(chan struct{}, 1)}
	s.plan.Store(&plan)
	s.loadedAt.Store(&s.begun)
	read := stampsOf(plan.Files)
	s.read.Store(&read)
	s.setState(control.Starting)
	s.broken, s.fail = context.WithCancelCause(context.Background())
	s.ending, s.end = context.WithCancel(context.Background())
	if err := s.open(&plan); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *Session) setState(state string) { s.state.Store(&state) }

func (s *Session) open(plan *Plan) (err error) {
	if s.driver, err = openBackend(&plan.Driver, s.outputBroke); err != nil {
		s.driver = nil
		return err
	}
	if s.started, err = s.startCallouts(plan); err != nil { // before a handle takes the first packet
		return err
	}
	s.swap = &swapper{driver: s.driver, failClosed: plan.Driver.FailClosed, reopens: plan.Driver.lives(), died: s.driverDied}
	if plan.Count > 0 {
		s.meter.quota = &quota{handles: uint64(len(plan.Handles)), left: plan.Count}
	}
	if err := s.openHandles(plan); err != nil {
		return err
	}
	cfg := processor.Config{
		Handles: s.handles,
		Policy:  plan.Policy,
		Rules:   plan.Rules,
		Settle:  plan.Driver.repeats(), PacketTime: plan.Driver.repeats(),
		Drain: plan.Drain,
	}
	if plan.Verify {
		s.verify = newVerifier(s.log)
		cfg.Rules, cfg.Verify, cfg.OnViolation = processor.Rules{}, true, s.verify.add
	}
	if s.proc, err = processor.New(cfg); err != nil {
		return err
	}
	s.watchers.init(s)
	plan.inForce()
	return nil
}

// The handles that a policy may have more of after a reload, by layer. An idle one costs memory that nobody touches.
const (
	spareNetwork = 3
	spareForward = 1
)

// openHandles opens the plan's handles, and idle ones for what a reload may bring.
func (s *Session) openHandles(plan *Plan) error {
	for i := range plan.Handles {
		if err := s.openHandle(plan.Handles[i].Filter, &plan.Handles[i]); err != nil {
			return err
		}
	}
	if plan.Reload == nil || plan.Count > 0 || len(plan.Handles) == 0 {
		return nil
	}
	for layer, spare := range []int{divertdrv.Network: spareNetwork, divertdrv.NetworkForward: spareForward} {
		nothing, err := filter.Parse("false", divertdrv.Layer(layer))
		if err != nil {
			return err
		}
		for range spare {
			if err := s.openHandle(nothing, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// openHandle opens a handle; spec nil: one that is idle.
func (s *Session) openHandle(f *divertdrv.Filter, spec *policy.Handle) error {
	h, err := divertdrv.OpenProgram(f, &divertdrv.Options{Driver: place{s, spec}})
	if err != nil {
		return err
	}
	s.handles = append(s.handles, h)
	return nil
}

// place is the driver of one handle as the handle sees it: what is under it is the swapper's to choose. Priority and flags are
// those of what is under it, so that they may change.
type place struct {
	s    *Session
	spec *policy.Handle
}

func (p place) Name() string { return p.s.driver.Name() }

func (p place) Open(f *divertdrv.Filter, l divertdrv.Layer, _ *divertdrv.Options) (divertdrv.Conn, error) {
	c, err := p.s.swap.add(l, p.spec)
	if err != nil {
		return nil, err
	}
	m := p.s.meter.wrap(c)
	p.s.meters = append(p.s.meters, m)
	return m, nil
}

// Run processes packets until they end, or ctx does, or the count or the time of the plan is reached. Then it closes
// everything, also after an error, and adds up. It may be called once.
func (s *Session) Run(ctx context.Context) (*Result, error) {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	watched := s.watch(ctx)
	s.setState(control.Running)
	s.log.tell(evRunning, zap.String(keyDriver, s.driver.Name()), zap.Int(keyHandles, len(s.plan.Load().Handles)),
		zap.Int(keyFilters, len(s.proc.Stats().Filters)))
	if s.ready != nil {
		s.ready()
	}
	start := time.Now()
	err := s.driver.forgive(s.proc.Run(ctx))
	watched()
	err = errors.Join(err, context.Cause(s.broken), s.close())
	r := s.result(time.Since(start))
	err = errors.Join(err, r.Conserved())
	s.stopped(r, err)
	return r, err
}

// deadline ends the context also when the plan's time is over or the output breaks.
func (s *Session) deadline(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(s.broken, func() { cancel(context.Cause(s.broken)) })
	timer := time.AfterFunc(time.Hour, func() { cancel(ErrTimeout) })
	if timeout := s.plan.Load().Timeout; timeout > 0 {
		timer.Reset(timeout)
	} else {
		timer.Stop()
	}
	return ctx, func() {
		stop()
		timer.Stop()
		cancel(nil)
	}
}

// watch tells when and why receiving ends early, and ends a wait for input, until the function that it returns is called. The
// processor drains by the same context.
func (s *Session) watch(ctx context.Context) (end func()) {
	stop, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		select {
		case <-ctx.Done():
			s.setState(control.Draining)
			s.log.tell(evDraining, zap.String(keyWhy, context.Cause(ctx).Error()))
			s.end()
			s.driver.interrupt()
		case <-stop:
		}
	}()
	return func() {
		close(stop)
		<-gone
	}
}

// stopped tells the end. An error of several lines is one field.
func (s *Session) stopped(r *Result, err error) {
	counts := []zap.Field{
		zap.Uint64(keyReceived, r.Received), zap.Uint64(keyPassed, r.Passed), zap.Uint64(keyDropped, r.Dropped),
		zap.Duration(keyDuration, time.Duration(r.DurationNS)),
	}
	if err != nil {
		s.log.tell(evFailed, append(counts, zap.String(keyError, oneLine(err)))...)
		return
	}
	s.log.tell(evStopped, counts...)
}

func oneLine(err error) string { return strings.ReplaceAll(err.Error(), "\n", "; ") }

// outputBroke is told when what passes cannot be recorded any more. For a capture or a simulation that ends the run; the traffic of
// a host goes on without a record.
func (s *Session) outputBroke(err error) {
	if !s.plan.Load().Driver.lives() {
		s.fail(err)
		return
	}
	s.log.tell(evOutputBroke, zap.String(keyError, oneLine(err)))
}

// Progress says how far the run is. It may be called from any goroutine.
func (s *Session) Progress() Progress {
	if total := s.plan.Load().Count; total > 0 {
		received := uint64(0)
		for _, h := range s.handles {
			received += h.Stats().Received
		}
		return Progress{Done: int64(received), Total: int64(total)}
	}
	return s.driver.progress()
}

// Close closes a session that is not to be run.
func (s *Session) Close() error { return s.close() }

// close closes handles, then callouts, then the driver. Unread packets go on their way in between.
func (s *Session) close() error {
	s.end()
	s.others.Wait()
	var errs []error
	for _, h := range s.handles {
		errs = append(errs, h.Close())
	}
	if s.swap != nil {
		s.swap.close()
	}
	errs = append(errs, closeAll(s.started))
	if s.driver != nil {
		if err := s.driver.close(); err != nil {
			errs = append(errs, fmt.Errorf("closing driver %s: %w", s.driver.Name(), err))
		}
	}
	s.fail(nil)
	return errors.Join(errs...)
}

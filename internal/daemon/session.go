package daemon

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/processor"
	"github.com/weirnet/weir/processor/policy"
)

// ErrTimeout is why a run drains whose time is over.
var ErrTimeout = errors.New("the time is over")

// Session is an open driver with its handles and a processor over them. Run ends it.
type Session struct {
	plan    Plan
	log     *zap.Logger
	driver  backend
	meter   *metered
	handles []*divertdrv.Handle
	proc    *processor.Processor
	verify  *verifier // nil: nobody asked
	started []starter

	broken context.Context // ends when the output breaks, with the cause
	fail   context.CancelCauseFunc
}

// Open opens what the plan says. It blocks while a capture that is a pipe has given nothing. An error leaves nothing open.
func Open(plan Plan, log *zap.Logger) (*Session, error) {
	s := &Session{plan: plan, log: log}
	s.broken, s.fail = context.WithCancelCause(context.Background())
	if err := s.open(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *Session) open() (err error) {
	if s.driver, err = openBackend(&s.plan.Driver, s.fail); err != nil {
		s.driver = nil
		return err
	}
	if err := s.startCallouts(); err != nil { // before a handle takes the first packet
		return err
	}
	s.meter = &metered{Driver: s.driver}
	if s.plan.Count > 0 {
		s.meter.quota = &quota{handles: uint64(len(s.plan.Handles)), left: s.plan.Count}
	}
	for i := range s.plan.Handles {
		if err := s.openHandle(&s.plan.Handles[i]); err != nil {
			return err
		}
	}
	cfg := processor.Config{
		Handles: s.handles,
		Policy:  s.plan.Policy,
		Rules:   s.plan.Rules,
		Settle:  s.plan.Driver.repeats(), PacketTime: s.plan.Driver.repeats(),
	}
	if s.plan.Verify {
		s.verify = newVerifier(s.log)
		cfg.Rules, cfg.Verify, cfg.OnViolation = processor.Rules{}, true, s.verify.add
	}
	s.proc, err = processor.New(cfg)
	return err
}

func (s *Session) openHandle(p *policy.Handle) error {
	o := divertdrv.Options{Driver: s.meter, Priority: p.Priority, Flags: p.Flags, CutThrough: s.plan.Policy != nil && s.plan.Policy.Judges()}
	h, err := divertdrv.OpenProgram(p.Filter, &o)
	if o.CutThrough && errors.Is(err, divertdrv.ErrUnsupported) { // the callout counts that nothing comes of it
		o.CutThrough = false
		h, err = divertdrv.OpenProgram(p.Filter, &o)
	}
	if err != nil {
		return err
	}
	s.handles = append(s.handles, h)
	return nil
}

// Run processes packets until they end, or ctx does, or the count or the time of the plan is reached. Then it closes
// everything, also after an error, and adds up. It may be called once.
func (s *Session) Run(ctx context.Context) (*Result, error) {
	ctx, cancel := s.deadline(ctx)
	defer cancel()
	watched := s.watch(ctx)
	s.log.Info("running", zap.String(keyDriver, s.driver.Name()), zap.Int(keyHandles, len(s.handles)),
		zap.Int(keyFilters, len(s.proc.Stats().Filters)))
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
	if s.plan.Timeout > 0 {
		timer.Reset(s.plan.Timeout)
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
			s.log.Info("draining", zap.String(keyWhy, context.Cause(ctx).Error()))
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
		s.log.Error("stopped", append(counts, zap.String("error", strings.ReplaceAll(err.Error(), "\n", "; ")))...)
		return
	}
	s.log.Info("stopped", counts...)
}

// Progress says how far the run is. It may be called from any goroutine.
func (s *Session) Progress() Progress {
	if total := s.plan.Count; total > 0 {
		received := uint64(0)
		for _, h := range s.handles {
			received += h.Stats().Received
		}
		return Progress{Done: int64(received), Total: int64(total)}
	}
	return s.driver.progress()
}

// close closes handles, then callouts, then the driver. Unread packets go on their way in between.
func (s *Session) close() error {
	var errs []error
	for _, h := range s.handles {
		errs = append(errs, h.Close())
	}
	errs = append(errs, s.closeCallouts())
	if s.driver != nil {
		if err := s.driver.close(); err != nil {
			errs = append(errs, fmt.Errorf("closing driver %s: %w", s.driver.Name(), err))
		}
	}
	s.fail(nil)
	return errors.Join(errs...)
}

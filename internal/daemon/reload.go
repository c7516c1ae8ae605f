package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/internal/control"
	"github.com/weirnet/weir/processor"
	"github.com/weirnet/weir/processor/policy"
)

// Who asked for a reload.
const (
	BySignal  = "signal"
	ByFile    = "file"
	ByControl = "control"
)

// ErrBusy: another reload, pause or resume is under way.
var ErrBusy = errors.New("another change is under way; try again")

// reloads remembers what became of them.
type reloads struct {
	mu sync.Mutex // guards all below
	control.Reloads
}

func (r *reloads) add(x control.ReloadResult) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.Last = &x; x.Applied {
		r.Applied++
	} else {
		r.Refused++
	}
}

func (r *reloads) get() control.Reloads {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.Reloads
}

// busyTime is how long a change waits for the one before.
const busyTime = 10 * time.Second

// change waits for its turn to change the session, and returns what ends it.
func (s *Session) change(ctx context.Context) (done func(), err error) {
	timer := time.NewTimer(busyTime)
	defer timer.Stop()
	select {
	case s.changing <- struct{}{}:
		return func() { <-s.changing }, nil
	case <-timer.C:
		return nil, ErrBusy
	case <-s.ending.Done():
		return nil, errors.New("weir is ending")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Reload reads the policy again and puts it in force, with its handles and driver settings, all at once or not at all: the result
// says which, and why not. No packet is lost by it. by is one of the By constants. It may be called from any goroutine; ErrBusy.
func (s *Session) Reload(ctx context.Context, by string) (control.ReloadResult, error) {
	done, err := s.change(ctx)
	if err != nil {
		return control.ReloadResult{}, err
	}
	defer done()
	start := time.Now()
	x := control.ReloadResult{At: start, By: by}
	err = s.reload(&x)
	x.TookNS = time.Since(start).Nanoseconds()
	if err != nil {
		x = control.ReloadResult{At: x.At, By: by, TookNS: x.TookNS, Error: err.Error(), Problems: problems(err)}
	}
	s.reloads.add(x)
	s.tellReload(&x)
	return x, nil
}

func (s *Session) reload(x *control.ReloadResult) error {
	now := s.plan.Load()
	if now.Reload == nil {
		return errors.New("there is no policy file to read again: weir runs a filter that was given by itself")
	}
	read := stampsOf(now.Files) // before they are read: what is written meanwhile is read again
	s.read.Store(&read)
	plan, err := now.Reload()
	if err != nil {
		return err
	}
	if err := now.mayBecome(plan); err != nil {
		return err
	}
	started, err := s.startCallouts(plan)
	if err != nil {
		return err
	}
	if err := s.rearrange(now, plan, x); err != nil {
		return errors.Join(err, closeAll(started[len(s.started):]))
	}
	s.swap.settle()
	x.Applied = true
	x.Notes = s.notes(plan)
	s.started = started
	s.plan.Store(plan)
	plan.inForce()
	s.noteFiles(read, plan.Files)
	loaded := time.Now()
	s.loadedAt.Store(&loaded)
	s.proc.Adopt()
	return s.closeGone(plan.Policy)
}

// notes say what of a plan needs a restart to have all of its effect. What flows are left to the kernel is settled when handles are
// opened: it costs a little work on each packet, which policies without judged callouts are spared.
func (s *Session) notes(plan *Plan) []string {
	if plan.Policy == nil || !plan.Policy.Judges() || s.swap.cuts || !plan.Driver.lives() {
		return nil
	}
	return []string{"flows that callouts have judged stay here: there was no judged callout when weir was started; restart it to leave them to the kernel"}
}

// noteFiles adds files that the policy was not made of before.
func (s *Session) noteFiles(read stamps, files []string) {
	all := stampsOf(files)
	maps.Copy(all, read)
	s.read.Store(&all)
}

// rearrange puts the plan's policy in force and changes what is under the handles.
func (s *Session) rearrange(now, plan *Plan, x *control.ReloadResult) error {
	s.swap.ops.Lock()
	defer s.swap.ops.Unlock()
	driver, renewed := s.swap.driver, now.Driver.settings() != plan.Driver.settings()
	if renewed {
		driver = s.driver.(*live).renew(&plan.Driver) // only a live driver has settings
	}
	r, err := s.swap.prepare(driver, plan.Driver.FailClosed, renewed, plan.Handles)
	if err != nil {
		return err
	}
	var c processor.Change
	err = r.commit(func() (err error) {
		c, err = s.proc.Apply(plan.Policy)
		return err
	})
	if err != nil {
		return err
	}
	x.Added, x.Removed, x.Changed = c.Added, c.Removed, c.Changed
	x.HandlesOpened, x.HandlesKept = r.opened, r.kept
	if len(c.Added)+len(c.Removed)+len(c.Changed) > 0 {
		x.FlowsToAsk = s.proc.Stats().Flows
	}
	return nil
}

// driverSettings are what may change of a driver while weir runs.
type driverSettings struct {
	namespace  string
	failClosed bool
	spin       time.Duration
}

func (d *Driver) settings() driverSettings { return driverSettings{d.Namespace, d.FailClosed, d.Spin} }

func (p *Plan) inForce() {
	if p.InForce != nil {
		p.InForce()
	}
}

// mayBecome says what of a new plan needs a restart.
func (p *Plan) mayBecome(q *Plan) error {
	a, b := &p.Driver, &q.Driver
	fixed := []struct {
		what string
		same bool
	}{
		{"driver: backend", a.Backend == b.Backend},
		{"driver: read", a.In == b.In},
		{"driver: write", a.Out == b.Out},
		{"driver: local", slices.Equal(a.Local, b.Local)},
		{"driver: packets", a.Packets == b.Packets},
		{"driver: seed", a.Seed == b.Seed},
		{"rules", p.Rules == q.Rules},
	}
	var changed []string
	for _, f := range fixed {
		if !f.same {
			changed = append(changed, f.what)
		}
	}
	if len(changed) > 0 {
		return fmt.Errorf("%s cannot change while weir runs: restart it, or take the change back", strings.Join(changed, ", "))
	}
	return nil
}

// closeGone closes callouts that the policy in force does not name.
func (s *Session) closeGone(pol *processor.Policy) error {
	var stay, gone []starter
	for _, st := range s.started {
		if slices.Contains(pol.Callouts(), processor.Callout(st)) {
			stay = append(stay, st)
		} else {
			gone = append(gone, st)
		}
	}
	s.started = stay
	if err := closeAll(gone); err != nil {
		s.log.tell(evOutputBroke, zap.String(keyError, oneLine(err))) // the new policy is in force all the same
	}
	return nil
}

// problems are what a policy's error lists.
func problems(err error) (all []control.Problem) {
	var list *policy.Errors
	if !errors.As(err, &list) {
		return nil
	}
	for _, p := range list.List {
		all = append(all, control.Problem{File: p.File, Line: p.Line, Column: p.Column, Message: p.Msg})
	}
	return all
}

// namesMax bounds the names of filters in one line of the log.
const namesMax = 20

func (s *Session) tellReload(x *control.ReloadResult) {
	by, took := zap.String(keyBy, x.By), zap.Duration(keyDuration, time.Duration(x.TookNS))
	switch {
	case !x.Applied:
		s.log.tell(evReloadRefused, by, zap.String(keyError, strings.ReplaceAll(x.Error, "\n", "; ")))
	case len(x.Added)+len(x.Removed)+len(x.Changed)+x.HandlesOpened == 0:
		s.log.tell(evReloadUnchanged, by, took)
	default:
		s.log.tell(evReloadApplied, by, took, names(keyAdded, x.Added), names(keyRemoved, x.Removed), names(keyChanged, x.Changed),
			zap.Int(keyHandles, x.HandlesOpened), zap.Uint64(keyFlows, x.FlowsToAsk), names(keyNotes, x.Notes))
	}
}

func names(key string, all []string) zap.Field {
	if len(all) == 0 {
		return zap.Skip()
	}
	if len(all) > namesMax {
		all = append(slices.Clone(all[:namesMax]), fmt.Sprintf("and %d more", len(all)-namesMax))
	}
	return zap.Strings(key, all)
}

// Pause lets packets pass by until Resume: nothing is diverted. ErrBusy.
func (s *Session) Pause(ctx context.Context) error {
	return s.flip(ctx, s.swap.pause, control.Paused, evPaused)
}

// Resume diverts packets again. An error leaves it paused. ErrBusy.
func (s *Session) Resume(ctx context.Context) error {
	return s.flip(ctx, s.swap.resume, control.Running, evResumed)
}

func (s *Session) flip(ctx context.Context, do func() error, state string, e event) error {
	done, err := s.change(ctx)
	if err != nil {
		return err
	}
	defer done()
	if *s.state.Load() == state {
		return nil
	}
	if !s.plan.Load().Driver.lives() {
		return fmt.Errorf("%w: driver %s cannot be paused; a live one can", divertdrv.ErrUnsupported, s.driver.Name())
	}
	if err := do(); err != nil {
		return err
	}
	s.swap.settle()
	s.setState(state)
	s.log.tell(e)
	return nil
}

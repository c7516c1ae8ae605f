package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"
)

// Run measures a scenario: see the package for how. It blocks for about what Settings say, at most until ctx ends. The report is of
// what was measured, even beside an error; variants that cannot run are in it with their reason. Variants that did different work
// are an error, as nothing they took can be compared.
func Run(ctx context.Context, s Scenario) (Report, error) {
	if err := s.Settings.complete(); err != nil {
		return Report{}, fmt.Errorf("scenario %s: %w", s.Name, err)
	}
	r := newReport(s.Settings)
	if s.Unable != nil {
		why, ok := whyUnable(s.Unable)
		if !ok {
			return r, fmt.Errorf("scenario %s: %w", s.Name, s.Unable)
		}
		r.Unable = append(r.Unable, NotRun{s.Name, why})
		return r, nil
	}
	run := &running{s: &s, ends: time.Now().Add(s.Settings.Max)}
	err := run.all(ctx)
	for i := range run.cases {
		run.cases[i].summarize()
		r.Results = append(r.Results, run.cases[i].Result)
	}
	if err != nil {
		return r, fmt.Errorf("scenario %s: %w", s.Name, err)
	}
	return r, nil
}

func newReport(s Settings) Report {
	return Report{
		Version: ReportVersion, Machine: ThisMachine(), Build: ThisBuild(), Date: time.Now().UTC().Truncate(time.Second),
		Settings: SettingsUsed{Seed: s.Seed, Runs: s.Runs, Time: s.Time}, Overhead: measureOverhead(),
	}
}

// running is a scenario that runs.
type running struct {
	s     *Scenario
	cases []runningCase
	ends  time.Time
}

type runningCase struct {
	Result
	trials []startedTrial // by outcome
}

// startedTrial is a variant's; its Run is nil where the variant is out.
type startedTrial struct {
	Trial
	memory uint64
}

func (r *running) all(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, r.close()) }()
	for i := range r.s.Cases {
		if err := r.start(ctx, &r.s.Cases[i]); err != nil {
			return err
		}
	}
	for round := range r.s.Settings.Runs + 1 {
		if round > 1 && r.s.Settings.Max > 0 && time.Now().After(r.ends) {
			r.s.Settings.Tell(fmt.Sprintf("%s: ends after %d of %d rounds: its time is over", r.s.Name, round-1, r.s.Settings.Runs))
			break
		}
		if err := r.round(ctx, round); err != nil {
			return err
		}
	}
	return r.profile(ctx)
}

// start starts the variants of a case and compares what they found.
func (r *running) start(ctx context.Context, c *Case) error {
	by := cmp.Or(c.By, r.s.By, ByCPU)
	rc := runningCase{Result: Result{Scenario: r.s.Name, Params: c.Params, Op: r.s.Op, By: by}}
	defer func() { r.cases = append(r.cases, rc) }() // with those that were started when one fails
	digest, of := "", ""
	for _, v := range c.Variants {
		r.s.Settings.Tell(fmt.Sprintf("%s: starting %s", rc.Name(), v.Name))
		t, why, err := startVariant(ctx, v, Env{c.Params, r.s.Settings.Seed})
		if err != nil {
			return fmt.Errorf("%s: %s: %w", rc.Name(), v.Name, err)
		}
		rc.Outcomes = append(rc.Outcomes, Outcome{Variant: v.Name, Peer: v.Peer, About: v.About, Unable: why})
		rc.trials = append(rc.trials, t)
		switch {
		case t.Digest == "" || why != "":
		case digest == "":
			digest, of = t.Digest, v.Name
		case digest != t.Digest:
			return fmt.Errorf("%s: %s and %s did not do the same work: they found %s and %s", rc.Name(), of, v.Name, digest, t.Digest)
		}
	}
	return nil
}

// startVariant starts one and finds out what it keeps on the heap.
func startVariant(ctx context.Context, v Variant, env Env) (t startedTrial, why string, err error) {
	before := heap()
	t.Trial, err = v.Start(ctx, env)
	if why, ok := whyUnable(err); ok {
		return startedTrial{}, why, nil
	}
	if after := heap(); after > before {
		t.memory = after - before
	}
	return t, "", err
}

// heap is what lives, in bytes.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// round runs every variant once. Round 0 warms up.
func (r *running) round(ctx context.Context, n int) error {
	r.s.Settings.Tell(fmt.Sprintf("%s: round %d of %d", r.s.Name, n, r.s.Settings.Runs))
	for i := range r.cases {
		c := &r.cases[i]
		for j := range c.trials {
			if c.trials[j].Run == nil {
				continue
			}
			s, err := c.trials[j].once(ctx, &r.s.Settings)
			if err != nil {
				return fmt.Errorf("%s: %s: %w", c.Name(), c.Outcomes[j].Variant, err)
			}
			if n > 0 {
				c.Outcomes[j].Runs = append(c.Outcomes[j].Runs, s)
			}
		}
	}
	return nil
}

// once is one run, on as many processors as were asked for.
func (t *startedTrial) once(ctx context.Context, s *Settings) (Sample, error) {
	if err := ctx.Err(); err != nil {
		return Sample{}, err
	}
	if s.Procs > 0 {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(s.Procs))
	}
	sample, err := t.Run(ctx, s.Time)
	if sample.Memory == 0 {
		sample.Memory = t.memory
	}
	return sample, err
}

func (r *running) close() error {
	var errs []error
	for i := range r.cases {
		for j := range r.cases[i].trials {
			if end := r.cases[i].trials[j].Close; end != nil {
				errs = append(errs, end())
			}
		}
	}
	return errors.Join(errs...)
}

package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/internal/daemon"
	"github.com/weirnet/weir/processor/policy"
)

type runFlags struct {
	driver, in, out     string
	local, allowWrite   []string
	seed                uint64
	packets             int
	count               uint64
	timeout             time.Duration
	drain               time.Duration
	verify              bool
	dryRun, asJSON      bool
	logLevel, logFormat string
	daemon              daemonFlags
}

func newRun() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:     "run POLICY | 'FILTER'",
		GroupID: groupPackets,
		Short:   "Divert packets, classify them, and put them back",
		Long: `Runs a policy file, or a filter by itself: then matching packets are diverted and passed, which shows what the filter takes.
The argument is a policy if it is a file, or ends in .yaml or .yml.

Nothing is diverted from this host unless a driver is named, by --driver or in the policy. With -r packets come from a capture,
without it and without a driver from a simulated host. Flags override the policy's driver section. With -w the packets that
passed and those that were injected are written, in pcapng.

In a capture a packet is outbound if its source is local. If the capture does not tell which addresses are, name them with --local;
otherwise the first address that speaks is taken for local.

It ends with the packets, or after -n of them, or after --timeout, or with Ctrl-C or SIGTERM: then it finishes what it has, and tells
what became of every packet. A second Ctrl-C ends it at once.

While it diverts this host's traffic it can be asked: weir status, flows, trace, top, reload, pause and resume use its control socket,
which only its user can open. SIGHUP, or a write to the policy with --watch, has it read the policy again, all at once or not at all.
See docs/operating.md.

With --verify all rules for callouts are enforced, whatever the policy says of them, and each breach is told: in the log when it is
first seen, and at the end with how often. Breaches do not change the exit status.

Each flag can be given by a variable instead: WEIR_ and its name, with _ for -, as in WEIR_LOG_LEVEL=debug. 'weir config show' says
what comes of it.

With --json the result is one object on standard output, described in
docs/policy.md; logs and progress go to standard error. Exit status: 0 done, 1 failed, 2 wrong usage or policy, 3 draining took longer
than --drain, and what waited was given up.`,
		Example: `  weir run examples/quickstart.yaml
  weir run 'tcp.DstPort == 443' -r capture.pcapng -n 100
  weir run policy.yaml -r in.pcapng -w out.pcapng --local 10.77.0.1,fd77::/64
  weir run policy.yaml --dry-run
  weir run policy.yaml --verify --json | jq .violations
  tcpdump -w - | weir run policy.yaml -r - --json`,
		Args:              take(1, "the policy file or filter"),
		ValidArgsFunction: completePolicy,
		RunE: does(func(cmd *cobra.Command, args []string) error {
			if _, err := fromEnvironment(cmd.Flags()); err != nil {
				return wrong(err)
			}
			l := newLoader(&f, cmd, args[0])
			job, err := l.load()
			if err != nil {
				return err
			}
			if f.dryRun {
				return job.show(cmd.OutOrStdout(), f.asJSON)
			}
			return f.run(cmd, l, job)
		}),
	}
	f.define(cmd.Flags())
	f.complete(cmd)
	return cmd
}

// complete has the shell offer what the flags take.
func (f *runFlags) complete(cmd *cobra.Command) {
	for flag, words := range map[string][]string{
		"driver": daemon.Backends(), "log-level": daemon.LogLevels(), "log-format": daemon.LogFormats(),
	} {
		complete(cmd, flag, words)
	}
	completeFiles(cmd, "read", captureEndings...)
	completeFiles(cmd, "write", "pcapng")
	completeDirs(cmd, "allow-write")
}

func (f *runFlags) define(flags *pflag.FlagSet) {
	flags.SortFlags = false
	flags.StringVar(&f.driver, "driver", "", "where packets come from, `one` of auto, windivert, nfqueue, sim, pcap (left out: pcap with -r, else the policy's, else sim)")
	flags.StringVarP(&f.in, "read", "r", "", "`capture` to read: pcap or pcapng, plain or with gzip; - is standard input")
	flags.StringVarP(&f.out, "write", "w", "", "pcapng `file` for what passes and is injected")
	localFlag(flags, &f.local)
	allowWriteFlag(flags, &f.allowWrite)
	flags.IntVar(&f.packets, "packets", policy.PacketsDefault, "with sim: `number` of packets to make; 0: without end")
	flags.Uint64Var(&f.seed, "seed", policy.SeedDefault, "with sim: `seed` of the packets")
	flags.Uint64VarP(&f.count, "count", "n", 0, "stop after so many received `packets`")
	flags.DurationVar(&f.timeout, "timeout", 0, "stop after this `time`, such as 90s or 1h30m")
	flags.DurationVar(&f.drain, "drain", drainDefault, "after a signal, give up what waits after this `time`")
	flags.BoolVar(&f.verify, "verify", false, "enforce the considerations for callouts, and tell each breach")
	flags.BoolVar(&f.dryRun, "dry-run", false, "print what would be done, and open nothing")
	flags.BoolVar(&f.asJSON, "json", false, "print the result as one JSON object")
	flags.StringVar(&f.logLevel, "log-level", "info", "`level` of the log: debug, info, warn or error; or of some components: warn,reload=debug")
	flags.StringVar(&f.logFormat, "log-format", daemon.FormatConsole, "`format` of the log: console or json")
	f.daemon.define(flags)
}

// drainDefault is --drain, of which each step of draining may take a part.
const (
	drainDefault = 20 * time.Second
	drainSteps   = 4
)

// run opens the plan, runs it, and prints the result, also after an error, which then is in the log.
func (f *runFlags) run(cmd *cobra.Command, l *loader, job *job) error {
	log, err := daemon.NewLogger(cmd.ErrOrStderr(), f.logLevel, f.logFormat)
	if err != nil {
		return wrong(err)
	}
	console, err := f.daemon.console(cmd.Flags(), &job.plan)
	if err != nil {
		return wrong(err)
	}
	if console != nil {
		if err := l.prepare(&job.plan); err != nil {
			return err
		}
		defer console.catch()()
	}
	session, err := daemon.Open(job.plan, log)
	switch {
	case errors.Is(err, divertdrv.ErrInvalid):
		return wrong(err)
	case err != nil:
		return err
	}
	end := func() {}
	if console != nil {
		if end, err = console.Start(session); err != nil {
			return errors.Join(err, session.Close())
		}
	}
	defer end()
	return f.drive(cmd, session, log)
}

// drive runs a session until it ends or is ended, and prints the result.
func (f *runFlags) drive(cmd *cobra.Command, session *daemon.Session, log daemon.Log) error {
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	defer context.AfterFunc(ctx, stop)() // a second signal then ends the program at once
	done := func() {}
	if f.logFormat == daemon.FormatConsole {
		done = showProgress(cmd.ErrOrStderr(), session)
	}
	result, runErr, inTime := f.within(ctx, session)
	done()
	if !inTime {
		log.Overrun(f.drain)
		return &statusError{exitOverrun, errTold}
	}
	var err error
	if f.asJSON {
		err = printJSON(cmd.OutOrStdout(), result)
	} else {
		err = printResult(cmd.OutOrStdout(), result)
	}
	if runErr != nil {
		return errors.Join(err, errTold)
	}
	return err
}

// within runs a session; inTime is false if it does not end within --drain after ctx did. Then the program is to end: the driver's
// traces go with it.
func (f *runFlags) within(ctx context.Context, session *daemon.Session) (r *daemon.Result, err error, inTime bool) {
	over := make(chan struct{})
	go func() {
		defer close(over)
		r, err = session.Run(ctx)
	}()
	select {
	case <-over:
		return r, err, true
	case <-ctx.Done():
	}
	select {
	case <-over:
		return r, err, true
	case <-time.After(f.drain):
		return nil, nil, false
	}
}

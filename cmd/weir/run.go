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
	verify              bool
	dryRun, asJSON      bool
	logLevel, logFormat string
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

It ends with the packets, or after -n of them, or after --timeout, or with Ctrl-C: then it finishes what it has, and tells what became
of every packet. A second Ctrl-C ends it at once.

With --verify all rules for callouts are enforced, whatever the policy says of them, and each breach is told: in the log when it is
first seen, and at the end with how often. Breaches do not change the exit status.

Each flag can be given by a variable instead: WEIR_ and its name, with _ for -, as in WEIR_LOG_LEVEL=debug. 'weir config show' says
what comes of it.

With --json the result is one object on standard output, described in
docs/policy.md; logs and progress go to standard error. Exit status: 0 done, 1 failed, 2 wrong usage or policy.`,
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
			job, err := f.job(cmd, args[0])
			if err != nil {
				return err
			}
			if f.dryRun {
				return job.show(cmd.OutOrStdout(), f.asJSON)
			}
			return f.run(cmd, job.plan)
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
	flags.BoolVar(&f.verify, "verify", false, "enforce the considerations for callouts, and tell each breach")
	flags.BoolVar(&f.dryRun, "dry-run", false, "print what would be done, and open nothing")
	flags.BoolVar(&f.asJSON, "json", false, "print the result as one JSON object")
	flags.StringVar(&f.logLevel, "log-level", "info", "`level` of the log: debug, info, warn or error")
	flags.StringVar(&f.logFormat, "log-format", daemon.FormatConsole, "`format` of the log: console or json")
}

// run opens the plan, runs it, and prints the result, also after an error, which then is in the log.
func (f *runFlags) run(cmd *cobra.Command, plan daemon.Plan) error {
	log, err := daemon.NewLogger(cmd.ErrOrStderr(), f.logLevel, f.logFormat)
	if err != nil {
		return wrong(err)
	}
	session, err := daemon.Open(plan, log)
	switch {
	case errors.Is(err, divertdrv.ErrInvalid):
		return wrong(err)
	case err != nil:
		return err
	}
	ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	defer context.AfterFunc(ctx, stop)() // a second signal then ends the program at once
	done := func() {}
	if f.logFormat == daemon.FormatConsole {
		done = showProgress(cmd.ErrOrStderr(), session)
	}
	result, runErr := session.Run(ctx)
	done()
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

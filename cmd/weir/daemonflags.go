package main

import (
	"errors"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/weirnet/weir/internal/control"
	"github.com/weirnet/weir/internal/daemon"
	"github.com/weirnet/weir/processor/callouts"
)

// daemonFlags are those of a run that others talk to.
type daemonFlags struct {
	control, tcp, tokenFile, metrics, pidFile string
	watch                                     bool
}

// controlNone is --control for no socket.
const controlNone = "none"

// watchEvery is how often the policy's files are looked at.
const watchEvery = time.Second

func (d *daemonFlags) define(flags *pflag.FlagSet) {
	flags.StringVar(&d.control, "control", "", "control `socket`; none: no socket (left out: the usual one, while the host's own traffic is diverted)")
	flags.StringVar(&d.tcp, "control-tcp", "", "control API on TCP too, at this `address`, with --token-file")
	flags.StringVar(&d.tokenFile, "token-file", "", "`file` whose first line is the token of --control-tcp")
	flags.StringVar(&d.metrics, "metrics", "", "Prometheus metrics at this loopback `address` too, such as 127.0.0.1:9464")
	flags.StringVar(&d.pidFile, "pidfile", "", "write the process number to this `file`")
	flags.BoolVar(&d.watch, "watch", false, "reload when a file of the policy was written")
}

// console is what the run has around it; nil: nothing, as a capture or a simulation that nobody asked for more.
func (d *daemonFlags) console(flags *pflag.FlagSet, plan *daemon.Plan) (*console, error) {
	asked := false
	for _, name := range []string{"control", "control-tcp", "token-file", "metrics", "pidfile", "watch"} {
		asked = asked || flags.Changed(name)
	}
	if live := plan.Driver.Backend != daemon.Sim && plan.Driver.Backend != daemon.Pcap; !live && !asked {
		return nil, nil //nolint:nilnil // nothing is what is asked for
	}
	c := &console{Console: daemon.Console{TCP: d.tcp, Metrics: d.metrics, PIDFile: d.pidFile}}
	switch {
	case d.control == controlNone:
	case d.control != "":
		c.Control = d.control
	default:
		c.Control, c.Optional = control.DefaultPath(), true
	}
	if d.watch {
		if c.Watch = watchEvery; plan.Path == "" {
			return nil, errors.New("--watch: there is no policy file to watch: a filter was given by itself")
		}
	}
	if (d.tcp == "") != (d.tokenFile == "") {
		return nil, errors.New("--control-tcp and --token-file go together: everybody on this host can reach a TCP port")
	}
	if d.tokenFile == "" {
		return c, nil
	}
	var err error
	c.Token, err = daemon.ReadToken(d.tokenFile)
	return c, err
}

// console is a daemon.Console with its signals.
type console struct{ daemon.Console }

// catch has SIGHUP ask for reloads until the function that it returns is called.
func (c *console) catch() (stop func()) {
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	c.Reload = hup
	return func() { signal.Stop(hup) }
}

// loader reads what a run is to do, again and again.
type loader struct {
	f    *runFlags
	cmd  *cobra.Command
	arg  string
	kept *daemon.Callouts

	applied func() // of what was read last
}

func newLoader(f *runFlags, cmd *cobra.Command, arg string) *loader {
	return &loader{f: f, cmd: cmd, arg: arg, kept: daemon.KeepCallouts(callouts.Factories())}
}

func (l *loader) load() (*job, error) {
	factories, applied := l.kept.Load()
	l.applied = applied
	return l.f.job(l.cmd, l.arg, factories)
}

// prepare makes a plan one that can be loaded again, and explained.
func (l *loader) prepare(plan *daemon.Plan) error {
	plan.InForce = l.applied
	if plan.Path == "" {
		return nil
	}
	copied, err := l.f.job(l.cmd, l.arg, callouts.Factories())
	if err != nil {
		return err
	}
	plan.Spare = copied.plan.Policy
	plan.Reload = l.reload
	return nil
}

func (l *loader) reload() (*daemon.Plan, error) {
	j, err := l.load()
	if err != nil {
		return nil, err
	}
	return &j.plan, l.prepare(&j.plan)
}

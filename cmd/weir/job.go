package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/filter"
	"github.com/weirnet/weir/internal/daemon"
	"github.com/weirnet/weir/processor/callouts"
	"github.com/weirnet/weir/processor/policy"
)

// job is what a command line asks for: a plan, and the policy file that it came from.
type job struct {
	plan daemon.Plan
	file *policy.File // nil: a filter by itself
}

// job reads the argument and the flags. factories make the policy's callouts.
func (f *runFlags) job(cmd *cobra.Command, arg string, factories map[string]policy.Factory) (*job, error) {
	j := &job{plan: daemon.Plan{Count: f.count, Timeout: f.timeout, Verify: f.verify, Drain: f.drain / drainSteps}}
	if f.timeout < 0 {
		return nil, wrongf("--timeout %v: want a time of 0 or more", f.timeout)
	}
	if f.drain <= 0 {
		return nil, wrongf("--drain %v: want a time of more than 0", f.drain)
	}
	var err error
	var spec policy.Driver
	if isPolicy(arg) {
		spec, err = j.readPolicy(arg, policy.Options{Factories: factories, WriteDirs: f.allowWrite})
	} else {
		err = j.readFilter(arg)
	}
	if err != nil {
		return nil, wrong(err)
	}
	if j.plan.Driver, err = f.choose(cmd.Flags(), spec); err != nil {
		return nil, wrong(err)
	}
	j.plan.Driver.Stdin = cmd.InOrStdin()
	return j, nil
}

// isPolicy says whether the argument names a file; else it is a filter.
func isPolicy(arg string) bool {
	switch strings.ToLower(filepath.Ext(arg)) {
	case ".yaml", ".yml":
		return true
	}
	info, err := os.Stat(arg)
	return err == nil && !info.IsDir()
}

func (j *job) readPolicy(path string, opts policy.Options) (policy.Driver, error) {
	file, err := policy.Load(path, opts)
	if err != nil {
		return policy.Driver{}, err
	}
	j.plan.Path, j.plan.Files = path, file.Files
	j.file, j.plan.Policy, j.plan.Handles, j.plan.Rules = file, file.Policy, file.Handles, file.Rules
	return file.Driver, nil
}

// loadPolicy reads a policy with the callouts that ship; it may write to the directories that are allowed, beside its own.
func loadPolicy(path string, allowWrite []string) (*policy.File, error) {
	return policy.Load(path, policy.Options{Factories: callouts.Factories(), WriteDirs: allowWrite})
}

// allowWriteFlag adds --allow-write, for commands that read policies.
func allowWriteFlag(flags *pflag.FlagSet, dirs *[]string) {
	flags.StringArrayVar(dirs, "allow-write", nil, "`directory` that the policy may write to, beside its own; may be given several times")
}

func (j *job) readFilter(text string) error {
	prog, err := filter.Parse(text, divertdrv.Network)
	if err != nil {
		return fmt.Errorf("%q is no file, and no filter:\n%w", text, err)
	}
	j.plan.Handles = []policy.Handle{{Filter: prog}}
	return nil
}

// choose takes the policy's driver section, if it is about the same backend, and what flags say instead.
func (f *runFlags) choose(flags *pflag.FlagSet, spec policy.Driver) (daemon.Driver, error) {
	if f.packets < 0 {
		return daemon.Driver{}, fmt.Errorf("--packets %d: want 0 (without end) or more", f.packets)
	}
	d := daemon.Driver{Backend: f.backend(spec.Backend), Packets: f.packets, Seed: f.seed}
	if err := daemon.CheckBackend(d.Backend); err != nil && !errors.Is(err, daemon.ErrNotYet) {
		return d, err
	}
	if d.Backend == spec.Backend {
		d.In, d.Out, d.Local = spec.Read, spec.Write, spec.Local
		d.Namespace, d.FailClosed, d.Spin = spec.Namespace, spec.FailClosed, spec.Spin
		keep(flags, "packets", &d.Packets, spec.Packets)
		keep(flags, "seed", &d.Seed, spec.Seed)
	}
	if f.in != "" {
		d.In = f.in
	}
	if f.out != "" {
		d.Out = f.out
	}
	var errs []error
	if len(f.local) > 0 {
		local, err := parsePrefixes(f.local)
		d.Local, errs = local, append(errs, err)
	}
	if d.Backend == daemon.Pcap && d.In == "" {
		errs = append(errs, errors.New("driver pcap has no capture to read: name one with -r, or as driver: {read: …} in the policy"))
	}
	return d, errors.Join(append(errs, misplaced(flags, d.Backend))...)
}

// backend is the driver that is named by flag, or implied by -r, or named by the policy; else the simulator.
func (f *runFlags) backend(ofPolicy string) string {
	switch {
	case f.driver != "":
		return f.driver
	case f.in != "":
		return daemon.Pcap
	case ofPolicy != "":
		return ofPolicy
	}
	return daemon.Sim
}

// keep sets v to what the policy says unless the flag was given.
func keep[T any](flags *pflag.FlagSet, name string, v *T, policy T) {
	if !flags.Changed(name) {
		*v = policy
	}
}

// misplaced refuses flags that would do nothing with the backend.
func misplaced(flags *pflag.FlagSet, backend string) error {
	owners := []struct{ flag, backend string }{
		{"read", daemon.Pcap}, {"local", daemon.Pcap}, {"packets", daemon.Sim}, {"seed", daemon.Sim},
	}
	var errs []error
	for _, o := range owners {
		if flags.Changed(o.flag) && backend != o.backend {
			errs = append(errs, fmt.Errorf("--%s goes with driver %s, and the driver is %s", o.flag, o.backend, backend))
		}
	}
	return errors.Join(errs...)
}

// localFlag adds --local. Its value is read by parsePrefixes.
func localFlag(flags *pflag.FlagSet, local *[]string) {
	flags.StringSliceVar(local, "local", nil, "addresses or `prefixes` of the host that captured, such as 10.77.0.1,fd77::/64")
}

func parsePrefixes(words []string) ([]netip.Prefix, error) {
	var all []netip.Prefix
	for _, w := range words {
		p, err := netip.ParsePrefix(w)
		if err != nil {
			a, notAddr := netip.ParseAddr(w)
			if notAddr != nil || a.Zone() != "" {
				return nil, fmt.Errorf("--local: %q is no address and no prefix: write 10.77.0.1, 10.77.0.0/16 or fd77::/64", w)
			}
			p = netip.PrefixFrom(a, a.BitLen())
		}
		all = append(all, p.Masked())
	}
	return all, nil
}

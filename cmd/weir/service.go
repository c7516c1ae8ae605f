package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/weirnet/weir/internal/service"
)

func newService() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "service",
		GroupID: groupProgram,
		Short:   "Have the system run weir, from its start on",
		Long: `Makes 'weir run POLICY' a service: a unit of systemd (Linux), which may do nothing that diverting does not need, or a service of
the service control manager (Windows). The system then starts it, starts it again if it fails, and stops it in order.`,
		Example: `  sudo weir service install /etc/weir/policy.yaml
  sudo weir service start
  weir service status`,
	}
	return group(cmd, newServiceInstall(), newServiceUninstall(),
		serviceVerb("start", "Start the service, and wait until it is ready", "It is ready when packets flow.", startService),
		serviceVerb("stop", "Stop the service, and wait until it has ended", "Packets that it holds go on first. It starts again with the system; uninstall ends that.", stopService),
		newServiceStatus())
}

type serviceFlags struct {
	root, program        string
	minimal, dryRun, now bool
	allow                []string
}

func newServiceInstall() *cobra.Command {
	var f serviceFlags
	cmd := &cobra.Command{
		Use:   "install POLICY [-- FLAG…]",
		Short: "Install the service, and have it start with the system",
		Long: `Checks the policy, writes the service and has it start with the system; an earlier one is written anew. With --now it is also
started. What stands behind -- are flags of 'weir run'. Unless they say otherwise, the policy may write to its own directory and to
/var/lib/weir (Linux), which the service has for itself.

The program and the policy stay where they are. On Linux they cannot be below /home, /root or /tmp, which the service does not see.
With --root the unit is written for a system that is not running, such as an image.`,
		Example: `  sudo weir service install /etc/weir/policy.yaml --now
  sudo weir service install /etc/weir/policy.yaml -- --log-format json
  weir service install /etc/weir/policy.yaml --dry-run`,
		ValidArgsFunction: completePolicy,
		Args: func(cmd *cobra.Command, args []string) error {
			if dash := cmd.ArgsLenAtDash(); dash >= 0 {
				args = args[:dash]
			}
			return take(1, "the policy file")(cmd, args)
		},
		RunE: does(func(cmd *cobra.Command, args []string) error { return f.install(cmd, args[0], args[1:]) }),
	}
	flags := cmd.Flags()
	flags.SortFlags = false
	flags.BoolVar(&f.now, "now", false, "start it, too")
	flags.BoolVar(&f.minimal, "minimal", false, "without CAP_SYS_ADMIN: then no other program may divert beside it")
	flags.StringVar(&f.program, "program", "", "`path` of weir there; left out: this very program")
	flags.StringVar(&f.root, "root", "", "`directory` that is the root of a system that is not running")
	flags.BoolVar(&f.dryRun, "dry-run", false, "print what would be written, and write nothing")
	completeDirs(cmd, "root")
	return cmd
}

// serviceWriteDir is the unit's StateDirectory.
const serviceWriteDir = "/var/lib/weir"

func (f *serviceFlags) install(cmd *cobra.Command, path string, args []string) error {
	if f.now && f.root != "" {
		return wrongf("--now is for the system that runs, and --root for another one")
	}
	m, err := service.New(f.root)
	if err != nil {
		return err
	}
	s, err := f.spec(path, args)
	if err != nil {
		return wrong(err)
	}
	if f.dryRun {
		text, err := m.Describe(s)
		if err == nil {
			_, err = fmt.Fprint(cmd.OutOrStdout(), text)
		}
		return err
	}
	if _, err := loadPolicy(filepath.Join(f.root, s.Policy), f.allow); err != nil {
		return wrong(err)
	}
	if err := m.Install(cmd.Context(), s); err != nil {
		return err
	}
	if f.now {
		err = m.Start(cmd.Context())
	}
	return errors.Join(err, tellService(cmd, m))
}

// spec is what the service runs.
func (f *serviceFlags) spec(path string, args []string) (s service.Spec, err error) {
	s = service.Spec{Program: f.program, Args: args, Minimal: f.minimal}
	if s.Policy, err = filepath.Abs(path); err != nil {
		return s, err
	}
	if s.Program == "" {
		if s.Program, err = os.Executable(); err == nil {
			s.Program, err = filepath.EvalSymlinks(s.Program)
		}
	}
	if err != nil {
		return s, err
	}
	run := newRun()
	if err := run.ParseFlags(args); err != nil {
		return s, fmt.Errorf("behind --: %w", err)
	}
	if f.allow, err = run.Flags().GetStringArray("allow-write"); err != nil {
		return s, err
	}
	if len(f.allow) == 0 && service.HasStateDirectory {
		f.allow = []string{serviceWriteDir}
		s.Args = append([]string{"--allow-write", serviceWriteDir}, args...)
	}
	return s, nil
}

func newServiceUninstall() *cobra.Command {
	var root string
	cmd := &cobra.Command{
		Use:     "uninstall",
		Short:   "Stop the service and take it away",
		Long:    "Stops the service and takes away what install wrote. The program, the policy and what it wrote stay.",
		Example: "  sudo weir service uninstall",
		Args:    cobra.NoArgs,
		RunE: does(func(cmd *cobra.Command, _ []string) error {
			m, err := service.New(root)
			if err == nil {
				err = m.Uninstall(cmd.Context())
			}
			if err != nil {
				return err
			}
			return tellService(cmd, m)
		}),
	}
	cmd.Flags().StringVar(&root, "root", "", "`directory` that is the root of a system that is not running")
	completeDirs(cmd, "root")
	return cmd
}

func startService(cmd *cobra.Command, m service.Manager) error { return m.Start(cmd.Context()) }

func stopService(cmd *cobra.Command, m service.Manager) error { return m.Stop(cmd.Context()) }

// serviceVerb is a command that changes whether the service runs.
func serviceVerb(verb, short, more string, do func(*cobra.Command, service.Manager) error) *cobra.Command {
	return &cobra.Command{
		Use:     verb,
		Short:   short,
		Long:    short + ". " + more,
		Example: "  sudo weir service " + verb,
		Args:    cobra.NoArgs,
		RunE: does(func(cmd *cobra.Command, _ []string) error {
			m, err := service.New("")
			if err == nil {
				err = do(cmd, m)
			}
			if err != nil {
				return err
			}
			return tellService(cmd, m)
		}),
	}
}

func newServiceStatus() *cobra.Command {
	var root string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say how the service is",
		Long: `Says whether the service is installed, runs, and starts with the system. The exit status is 0 while it runs, and 1 otherwise. What it
does, 'weir status' and 'weir top' ask itself.`,
		Example: "  weir service status\n  weir service status --json | jq -r .state",
		Args:    cobra.NoArgs,
		RunE: does(func(cmd *cobra.Command, _ []string) error {
			m, err := service.New(root)
			if err != nil {
				return err
			}
			s, err := m.Status(cmd.Context())
			if err != nil {
				return err
			}
			if asJSON {
				err = printJSON(cmd.OutOrStdout(), s)
			} else {
				_, err = fmt.Fprint(cmd.OutOrStdout(), serviceText(&s))
			}
			if err == nil && s.State != service.Running {
				return errTold
			}
			return err
		}),
	}
	cmd.Flags().StringVar(&root, "root", "", "`directory` that is the root of a system that is not running")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	completeDirs(cmd, "root")
	return cmd
}

// tellService prints how the service is now.
func tellService(cmd *cobra.Command, m service.Manager) error {
	s, err := m.Status(cmd.Context())
	if err == nil {
		_, err = fmt.Fprint(cmd.OutOrStdout(), serviceText(&s))
	}
	return err
}

// serviceText is a status in words.
func serviceText(s *service.Status) string {
	text := service.Name + " is " + s.State
	if s.PID != 0 {
		text += fmt.Sprintf(", process %d", s.PID)
	}
	if s.Restart > 0 {
		text += fmt.Sprintf(", restarted %s", times(s.Restart))
	}
	if s.Text != "" {
		text += ": " + s.Text
	}
	text += "\n"
	if s.State == service.Absent {
		return text
	}
	boot := "does not start with the system"
	if s.Boot {
		boot = "starts with the system"
	}
	return text + fmt.Sprintf("%s, as %s says:\n  %s\n", boot, s.Where, s.Command)
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

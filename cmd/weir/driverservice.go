package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	_ "github.com/weirnet/weir/divertdrv/native" // whose REFLECT layer tells who has handles open
	"github.com/weirnet/weir/internal/clock"
	"github.com/weirnet/weir/internal/driverlife"
)

// opener finds the system whose driver is looked after.
type opener func() (*driverlife.System, error)

// localDriver is this system.
func localDriver() (*driverlife.System, error) {
	s, err := driverlife.Local()
	if err == nil {
		s.Users = func() ([]driverlife.User, error) {
			return driverlife.Handles(nil, clock.System, 300*time.Millisecond, nil)
		}
	}
	return s, err
}

func newDriverStatus(open opener) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say what state WinDivert's service is in, who uses it, and what is stale (Windows)",
		Long: `Shows the service entries of WinDivert, of any version: state, file, version of the file, whether its signature holds, what is wrong
and what mends it, with the error number that programs get for it. Where the driver runs it tells which processes have handles open,
at which layer and with which filter; that needs an administrator's rights. The exit status is 1 if something is wrong.`,
		Example: "  weir driver status\n  weir driver status --json | jq '.entries[].faults'",
		Args:    cobra.NoArgs,
		RunE: onDriver(open, func(cmd *cobra.Command, s *driverlife.System, _ []string) error {
			st, err := s.Status()
			if err != nil {
				return err
			}
			if asJSON {
				err = printJSON(cmd.OutOrStdout(), st)
			} else {
				err = writeDriverStatus(cmd.OutOrStdout(), st)
			}
			for i := range st.Entries {
				if err == nil && len(st.Entries[i].Faults) > 0 {
					err = errTold
				}
			}
			return err
		}),
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

func newDriverInstall(open opener) *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "install FILE",
		Short: "Install WinDivert's service and start the driver (Windows)",
		Long: `Verifies the file's signatures as 'weir driver verify' does, makes the service WinDivert for it, and starts it. Programs that open
handles install the driver by themselves; this is for those that may not (the flag NO_INSTALL), and to see early that it starts. A
service of the same file is kept; a stale one is replaced; one of another file is left alone, and told.

It needs an administrator's rights. --force installs a file whose signature does not hold; Windows refuses it all the same unless
test signing is on.`,
		Example: `  weir driver install C:\weir\WinDivert64.sys`,
		Args:    take(1, "the driver's file"),
		RunE: onDriver(open, func(cmd *cobra.Command, s *driverlife.System, args []string) error {
			file, err := filepath.Abs(args[0])
			if err != nil {
				return err
			}
			return tellDone(cmd, func() ([]driverlife.Done, error) { return s.Install(file, force) })
		}),
	}
	cmd.Flags().BoolVar(&force, "force", false, "install it though its signature does not hold")
	return cmd
}

func newDriverUninstall(open opener) *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use:   "uninstall",
		Short: "Stop the driver and take WinDivert's service away (Windows)",
		Long: `Stops the driver and deletes its service, so that the .sys file can be deleted. While programs have handles open it is refused, and
tells which; with --force the driver is told to stop, and goes when the last handle is closed. It needs an administrator's rights.`,
		Example: "  weir driver uninstall",
		Args:    cobra.NoArgs,
		RunE: onDriver(open, func(cmd *cobra.Command, s *driverlife.System, _ []string) error {
			return tellDone(cmd, func() ([]driverlife.Done, error) { return s.Uninstall(force) })
		}),
	}
	cmd.Flags().BoolVar(&force, "force", false, "though programs have handles open")
	return cmd
}

func newDriverClean(open opener) *cobra.Command {
	return &cobra.Command{
		Use:   "clean",
		Short: "Mend stale entries of WinDivert's service (Windows)",
		Long: `Takes away service entries of WinDivert, of any version, that cannot start: whose file is gone (errors 2 and 3), or that wait for
their deletion (1072); and enables what is disabled (1058). Entries that are whole are left alone. What cannot be mended from here,
such as a file whose signature does not hold, it tells. It needs an administrator's rights.`,
		Example: "  weir driver clean",
		Args:    cobra.NoArgs,
		RunE: onDriver(open, func(cmd *cobra.Command, s *driverlife.System, _ []string) error {
			return tellDone(cmd, s.Clean)
		}),
	}
}

// onDriver opens the system for a command's body.
func onDriver(open opener, f func(cmd *cobra.Command, s *driverlife.System, args []string) error) func(*cobra.Command, []string) error {
	return does(func(cmd *cobra.Command, args []string) error {
		s, err := open()
		if err != nil {
			return err
		}
		defer s.Manager.Close()
		return f(cmd, s, args)
	})
}

// tellDone prints the steps that were taken, whether or not all went well.
func tellDone(cmd *cobra.Command, f func() ([]driverlife.Done, error)) error {
	done, err := f()
	for _, d := range done {
		fmt.Fprintf(cmd.OutOrStdout(), "%s: %s\n", d.Entry, d.Did)
	}
	if err == nil && len(done) == 0 {
		fmt.Fprintln(cmd.OutOrStdout(), "nothing was to be done")
	}
	return err
}

func writeDriverStatus(w io.Writer, st *driverlife.Status) error {
	var b strings.Builder
	if len(st.Entries) == 0 {
		b.WriteString("WinDivert is not installed. Programs that open handles install it; 'weir driver install FILE' does too.\n")
	}
	for i := range st.Entries {
		writeEntry(&b, &st.Entries[i])
	}
	for _, u := range st.Users {
		fmt.Fprintf(&b, "used by %s: layer %s, priority %d", u, u.Layer, u.Priority)
		if u.Flags != "" {
			fmt.Fprintf(&b, ", flags %s", u.Flags)
		}
		if u.Filter != "" {
			fmt.Fprintf(&b, ", filter %s", u.Filter)
		}
		b.WriteString("\n")
	}
	if st.UsersErr != "" {
		fmt.Fprintf(&b, "who uses it is not known: %s\n", st.UsersErr)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func writeEntry(b *strings.Builder, l *driverlife.Look) {
	fmt.Fprintf(b, "%s: %s", l.Name, l.State)
	if l.Deleted {
		b.WriteString(", goes when it has stopped")
	}
	if l.Disabled {
		b.WriteString(", disabled")
	}
	fmt.Fprintf(b, "\n  file       %s\n", l.File)
	if l.Version != "" {
		fmt.Fprintf(b, "  version    %s\n", l.Version)
	}
	if l.Signature != "" {
		fmt.Fprintf(b, "  signature  %s\n", strings.ReplaceAll(l.Signature, "\n", "\n             "))
	}
	for _, f := range l.Faults {
		fmt.Fprintf(b, "  FAULT      error %d: %s\n  mend       %s\n", f.Error, strings.ReplaceAll(f.Detail, "\n", "\n             "), f.Remedy)
	}
}

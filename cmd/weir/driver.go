package main

import "github.com/spf13/cobra"

func newDriver() *cobra.Command {
	return group(&cobra.Command{
		Use:     "driver",
		GroupID: groupProgram,
		Short:   "Look after the WinDivert driver: its signature, its service",
		Long: `WinDivert is the driver that diverts packets on Windows; on Linux none needs to be installed. Its signature can be verified on every
system, before the file is copied to where it is to run; the other commands need Windows.`,
		Example: `  weir driver verify WinDivert64.sys
  weir driver status`,
	}, newDriverVerify(), newDriverStatus(localDriver), newDriverInstall(localDriver), newDriverUninstall(localDriver), newDriverClean(localDriver))
}

// Package native links the platform's own divert driver: import it for its side effect, and divertdrv.Open needs no
// Options.Driver.
//
//	import _ "github.com/weirnet/weir/divertdrv/native"
//
// On Linux that is nfqdrv in the network namespace of whoever opens a handle, on Windows windrv with WinDivert from the folder of
// the program; a Windows binary that links it is conveyed under the GPL-3.0 (NOTICE). Nothing is opened or loaded before Open.
package native

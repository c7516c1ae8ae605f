// Package windrv is the divert driver for Windows: WinDivert 2.2, opened through github.com/imgk/divert-go.
//
//	h, err := divertdrv.Open("tcp.DstPort == 23", divertdrv.Network, &divertdrv.Options{Driver: windrv.New(windrv.Config{})})
//
// The path of a packet, in the order of the files:
//
//  1. Open hands the driver our compiled form of the filter, so what it decides is what package filter says. A test that the
//     driver is known to get wrong is made coarser, and asked again here (coarse).
//  2. Recv keeps reads under way, each in memory of its own that the driver may write (operation), takes what they brought in the
//     order in which they were made, and fills the batch (recv). WinDivert's driver has taken these packets out for good.
//  3. Complete, Release and Inject send: what passes unchanged in chunks, all else packet by packet (send).
//  4. Shutdown says so to the driver. Close takes the reads back, sends on what they brought and nobody saw, and closes the
//     handle, whereupon the driver lets go on what was still queued there (conn).
//
// # What comes from divert-go, and what does not
//
// Opening a handle does: the library, the installation of the driver and the first requests. Reads, writes, parameters and shutdown
// are requests of our own on the handle, because divert-go v0.1.0 has one request per direction and handle, hands the kernel
// addresses that a goroutine's stack may move away from, numbers the kinds of shutdown wrongly, and closes without taking back
// what is under way. WinDivert.dll is loaded by its full path before divert-go asks for it by name.
//
// # What is not known when a send fails
//
// WinDivert's driver goes on after a packet that the stack refuses, and answers for all that it was given with the last refusal.
// Packets that may foreseeably be refused (injected, changed, released, larger than 1500 bytes, and those of other drivers) therefore
// go one by one, and Stats knows each. What else passes unchanged goes in chunks, which grow from 1 to 255 packets while all goes well.
// When one fails, none of it is sent twice, for the most of it may have gone. If the driver refused it as a whole (the handle is shut
// down or closed) that is what counts; else all of it counts as dropped by send-doubtful: at least one packet of it did not go. What
// follows goes one by one again, at least 64 packets and more each time that chunks fail soon again, so that what goes on being
// refused is known packet by packet, as send-failed.
//
// # What differs from the simulator
//
//   - What the driver loses before Recv, or drops for a handle with DropAll, is not counted: WinDivert has no counters.
//   - Overload is OverloadShedOldest, and there is one reader.
//   - A packet that is larger than the batch is cut, and cannot be passed: it counts as dropped by too-big.
//   - Under load up to Config.Reads times 255 packets have left the driver's queue, and its limits, before Recv asks for them.
//
// # What it needs
//
// Administrator, WinDivert.dll and WinDivert64.sys 2.2 side by side (Config.DLL), and the Base Filtering Engine. With the build tag
// divert_cgo the library is compiled in and only WinDivert64.sys is needed, beside the program. docs/windows.md has the rest.
package windrv

// Package standin is a stand-in for WinDivert's kernel driver, so that all that stands above it runs for real under Wine:
// WinDivert's own library, the service manager, imgk/divert-go and windrv.
//
// It has two halves. The folder driver is a driver in C: Wine loads it as WinDivert64.sys, and it takes the seven requests of
// WinDivert's interface with their buffers, addresses in foreign memory, cancellation and clean-up. It has no opinion on packets:
// each request becomes a frame on a connection to 127.0.0.1, and waits for its answer. Server, in a test's process, is the other
// end: it answers by a driver that divertdrv already has, as a rule simdrv, or with whatever error it was told to.
//
// What passes here passes the requests and their marshalling. It says nothing of Windows' kernel; docs/windows.md has the list.
package standin

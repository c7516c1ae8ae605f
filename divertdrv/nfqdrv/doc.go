// Package nfqdrv is the divert driver for Linux: filters run in the kernel as eBPF programs, and what they match comes to user
// space through nfnetlink_queue.
//
//	h, err := divertdrv.Open("tcp.DstPort == 23", divertdrv.Network, &divertdrv.Options{Driver: nfqdrv.New(nfqdrv.Config{})})
//
// # What deletes packets
//
// The kernel drops all packets that wait in any queue of a network namespace when a base chain of any hook there is deleted, by
// whomever (nf_queue_nf_hook_drop; tried on 6.18), and so does a table that vanishes. Deleting a rule, and adding chains and
// rules, drops nothing. So a handle that closes first deletes its rules and keeps its chains, then reads what is queued and lets
// it go on, and only then may its chains go: those that others of this process may have packets queued beside are parked, and
// the next handle of their priority takes them over.
package nfqdrv

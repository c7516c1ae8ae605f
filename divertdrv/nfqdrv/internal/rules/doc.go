// Package rules tells the Linux kernel which packets a handle diverts: base chains of nf_tables, in a table of the handle's own,
// that match by an eBPF program and then queue, drop or pass.
//
//	table inet weir-<pid>-<n>              owned by this process's netlink socket: gone with it, kill -9 included
//	  chain output: hook output, priority -32000 - handle's priority
//	    [meta oif] [xt bpf: the handle's filter] [counter] NFQUEUE | drop | accept
//
// An accepted packet, also one that comes back from the queue, goes on to the next base chain: so handles see packets by priority,
// in every process, before conntrack and every firewall hook. Of equal priorities the newest chain is asked first (the kernel
// puts a new hook before its equals), as in WinDivert. Nobody else's tables are touched.
//
// # What the kernel does when chains come and go
//
// When a base chain is unregistered, the kernel drops every packet that waits in any queue of the network namespace
// (nf_queue_nf_hook_drop), since a queued packet remembers its place by an index. So [Table.Close] does not unregister while
// the process has other tables there: it empties the chains and parks the table, and [Open] takes a parked one again where it is
// the newest of its priority. The last Close removes all. Whoever closes the last one drains its queue first: [Table.Set] with
// no rules, then verdicts, then Close.
//
// When a base chain is registered, nothing is lost. But a packet that waits at a chain behind the new one then goes on from one
// place too early: after its verdict it meets the same handle once more. So opening a handle may show packets twice to lower
// handles, in the moment of opening.
//
// # What the kernel must have
//
// [Probe] tries each feature and says what its lack costs. Errors name the capability or the kernel option that lacks. Linux only.
package rules

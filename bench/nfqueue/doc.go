// Package nfqueue measures the live path of Linux: packets that a router diverts to a program and back, by Weir and by what others
// use for it. It makes two hosts with a router between them, in network namespaces of its own, and measures in turn, with the same
// traffic, what each program makes of it:
//
//	client ──veth── router ──veth── server
//	                  │ forward hook
//	                  ▼
//	     the program under test, a process of its own
//
// Nothing of the host is touched, and nothing outlives the process: the namespaces have no names, so they go with its descriptors,
// and the programs are killed by the kernel when it ends. Linux only, as root.
//
// The measures:
//
//   - rate: datagrams of 92 bytes in a closed loop, no more on their way than the program's queue holds, so that none is lost; CPU
//     time of the program for each (user, system), to be had without disturbing it since it is another process
//   - tcp: one connection, with the offloads that veth devices have
//   - latency: round trips at an even pace, all on one CPU, each counted from when it was due; latency-apart: the program has a CPU of
//     its own, where it may spin
//   - flood: 200,000 datagrams a second without mercy; where each one went that did not arrive
//   - rate-ipv6: the first, of IPv6
//
// The CPU time of a program includes what the kernel does on its behalf: receiving, and in the verdict the packet's way onward.
package nfqueue

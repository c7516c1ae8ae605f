// Package nfqdrv is the divert driver for Linux: filters run in the kernel as eBPF programs, and what they match comes to user
// space through nfnetlink_queue.
//
//	h, err := divertdrv.Open("tcp.DstPort == 23", divertdrv.Network, &divertdrv.Options{Driver: nfqdrv.New(nfqdrv.Config{})})
//
// The path of a packet, in the order of the files:
//
//  1. A program for each hook asks the handle's filter (filters, program); package lower makes its instructions. What this handle,
//     or one that is not above it, injected is passed by (origin; packages ranks and reinject). What does not match goes on in
//     the kernel.
//  2. A rule of the handle's own table queues what matches (package rules), or drops it (DropAll). A handle with Sniff has no queue:
//     its program copies the packet, which goes on (copier).
//  3. Recv reads the queue (package queue), asks again what the program could not decide, puts fragments together (join), and
//     fills the batch (recv). While nobody reads, a keeper does (keeper), into a backlog with WinDivert's limits (backlog, ring).
//  4. Complete and Release say accept, drop, or accept with other bytes (complete). What can only go another way is dropped there
//     and injected (inject).
//     With CutThrough the packets of judged flows go on from the program (cutthrough, package judged).
//  5. Shutdown and Close take the rules away, wait until nothing is under way, and let go on what nobody read (end).
//
// # Where it is asked
//
// NETWORK: the output hook, and the input hook, or prerouting with the flag Fragments; loopback packets at output only.
// NETWORK_FORWARD: the forward hook. All of it comes before conntrack and every firewall: hook priority -32000 minus the handle's.
// So a packet is seen as it came, and a firewall judges what passed. What a device's tc programs do comes before (inbound) or
// after (outbound). REFLECT is not asked in the kernel: handles write themselves into a table of all processes (reflect).
//
// # What differs from WinDivert
//
//   - A program that sends is told EPERM when a DropAll handle's rule drops its packet at once.
//   - A packet goes back with at most 65,531 bytes when it was changed, the most that netlink carries: ErrTooBig.
//   - A changed packet that no longer fits its interface is ErrTooBig where the kernel would drop it without a word: IPv4 with DF, and
//     IPv6. A super-packet that was cut down to one segment goes as a packet of its own.
//   - Impostor is never set on a received packet: what other programs inject is not told apart.
//   - A copy (Sniff) of an outbound or forwarded packet has no interface, and its TCP and UDP checksums are never called final. Copies
//     of more than 65,000 bytes are cut.
//
// # What deletes packets
//
// The kernel drops all packets that wait in any queue of a network namespace when a base chain of any hook there is deleted, by
// whomever (nf_queue_nf_hook_drop; tried on 6.18), and all that wait for a device when it goes down. Handles of one process do
// not do so to each other, see package rules; a firewall that is restarted does, and so does another process that ends. A packet
// that is passed and was lost like this moves in Stats from passed to dropped, by send-failed.
//
// When a process is killed its tables vanish, what is queued then is lost, and traffic flows; see Config.FailClosed for the other
// choice.
//
// # What it needs
//
// Root, or CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF and CAP_PERFMON; CAP_SYS_ADMIN to find what handles of other processes share, and for
// Config.Namespace. Without root, or CAP_DAC_READ_SEARCH, the kernel does not tell what its own queue lost, and Caps say so. Linux
// 5.12 or newer, 6.6 for inbound injection without clsact. Errors of Open name what lacks.
package nfqdrv

// Package lower turns a filter program into instructions of eBPF, so that the Linux kernel decides which packets leave it.
//
// A program of the kernel runs at one hook, where much is known beforehand: the direction, whether both ends are this host.
// Lower folds that, and what is left depends on the headers that a packet has. There are few ways in which they go together
// (world.go); for each the program is specialised (resolve.go, build.go), so that no test asks for a header at run time: the
// instructions find the headers once, as wire.Parse does (parse.go), and go on at the tests of that world (emit.go).
//
// What no program of the kernel can know (timestamp, random8, …) is left to user space: such a test takes both edges, and the
// packet matches if any way ends in accept. So the kernel takes all packets that the filter takes, and some more only where the
// answer does depend on such a test; Result says which tests these are, and that Match must be asked again.
//
// The package builds everywhere and loads nothing: Result.Program is the instructions of a BPF_PROG_TYPE_SOCKET_FILTER, as
// xt_bpf runs it on a packet that starts with its IP header. They need a kernel of 5.7 (bounded loops, gso_size), no BTF, and no
// capability to be loaded but CAP_BPF (kernel 5.8; CAP_SYS_ADMIN before).
package lower

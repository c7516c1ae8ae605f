// Package lower turns a filter program into instructions of eBPF, so that the kernel decides which packets leave it.
package lower

import "github.com/cilium/ebpf/asm"

// Body is the instructions of a filter.
type Body = asm.Instructions

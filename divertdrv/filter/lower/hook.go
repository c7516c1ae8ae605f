package lower

import "github.com/weirnet/weir/divertdrv/addr"

// Hook is what is known of all packets at a place in the kernel where a program is asked.
type Hook struct {
	Name string // for people

	Outbound bool
	Loopback bool // both ends are this host

	// IfIdx is the interface of all packets here, where a rule in front of the program names it; 0: it is not the same for all.
	IfIdx uint32
	// SeesIfIdx says that ifindex of the packet's context is the interface that the field ifIdx means.
	SeesIfIdx bool

	// Impostor says how the field impostor is known.
	Impostor Knowledge

	// Reassemble says that IPv6 packets come here in fragments, and that the driver will put them together. Of a fragment only
	// the addresses are known then, and it matches if the whole packet could.
	Reassemble bool
}

// Knowledge is how a program knows a yes or no that is not in the packet.
type Knowledge uint8

// How a program can know.
const (
	Unknown Knowledge = iota // it cannot
	No                       // it is no for all packets here
	Given                    // Code.Before leaves it in R0: 0 is no
)

// The hooks of netfilter, as a packet is seen there without conntrack. Loopback packets are seen once, on their way out, as
// by WinDivert: rules must send those of the interface lo to OutputLoopback and keep them from Input. The interface of lo is
// 1 in every namespace. At Output the context has no interface yet, and at Forward it has the one where the packet came from.
//
// IPv4 fragments are whole at Input, and IPv6 fragments are not, without conntrack. Prerouting stands before both, for handles
// which want to see fragments.
var (
	Output         = Hook{Name: "output", Outbound: true}
	OutputLoopback = Hook{Name: "output-loopback", Outbound: true, Loopback: true, IfIdx: 1}
	Input          = Hook{Name: "input", SeesIfIdx: true, Reassemble: true}
	Forward        = Hook{Name: "forward", Outbound: true}
	Prerouting     = Hook{Name: "prerouting", SeesIfIdx: true}
)

// Hooks returns the hooks where handles of a layer see packets; none, if the layer is one of events.
func Hooks(l addr.Layer) []Hook {
	switch l {
	case addr.Network:
		return []Hook{Output, OutputLoopback, Input, Prerouting}
	case addr.NetworkForward:
		return []Hook{Forward}
	}
	return nil
}

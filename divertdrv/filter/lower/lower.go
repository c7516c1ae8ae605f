package lower

import (
	"fmt"
	"slices"

	"github.com/cilium/ebpf/asm"

	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/filter"
	"github.com/weirnet/weir/divertdrv/wire"
)

// Result is a filter lowered for one hook. It is immutable and safe for concurrent use.
type Result struct {
	Hook Hook `json:"-"`

	// Always and Never say that the program matches all IP packets here (if only user space can tell some), or none. (What is no IP packet, by the lengths in
	// its header, never matches.) A hook where a filter never matches needs no program.
	Always bool `json:"always,omitempty"`
	Never  bool `json:"never,omitempty"`

	// Exact says that the program matches what Program.Match does, but for packets of which Recheck tells; else it matches more.
	Exact bool `json:"exact"`
	// Left is the tests that are left to user space, in their order. Exact is: there are none.
	Left []Left `json:"left"`

	body asm.Instructions
}

// Left is a test that is left to user space.
type Left struct {
	Test int    `json:"test"` // its number, from 1, as in filter.Explanation
	Text string `json:"text"`
	Why  string `json:"why"`
}

// Lower lowers a filter of packets for a hook. It fails for a filter of another layer, of which no hook knows. It takes about as
// long as compiling the text, at most some tens of milliseconds for a hostile object.
func Lower(p *filter.Program, hook Hook) (*Result, error) { return within(p, hook, maxNodes) }

// within lowers a filter to at most so many nodes.
func within(p *filter.Program, hook Hook, maxNodes int) (*Result, error) {
	if p.Layer() > addr.NetworkForward {
		return nil, fmt.Errorf("lower: a filter of layer %s asks for events; only those of network and forward run on packets", p.Layer())
	}
	b := build(p.Compiled(), &hook, p.IsCompat22(), maxNodes)
	r := &Result{Hook: hook, Left: []Left{}}
	for i := range b.tests {
		if why, ok := b.left[i]; ok {
			r.Left = append(r.Left, Left{i + 1, b.tests[i].Text, why})
		}
	}
	r.Exact = len(r.Left) == 0
	r.Always = !slices.ContainsFunc(b.graph.entry[:], func(e edge) bool { return e != accept && e != ask })
	r.Never = !slices.ContainsFunc(b.graph.entry[:], func(e edge) bool { return e != reject })
	r.body = emit(&b.graph, &r.Hook)
	return r, nil
}

// Recheck says whether user space must ask Program.Match about a packet that the program matched: tests are left to it, or the
// packet has more IPv6 extension headers than a program steps over, or it is a fragment that is to be reassembled. Of what ends
// in Code.Match, where there is a Code.Ask, nobody must be asked. h is what wire.Parse made of the packet.
func (r *Result) Recheck(h *wire.Headers) bool {
	const most = wire.IPv6HeaderLen + MaxExtensions*extensionUnit // of as many headers is at least
	return !r.Exact || h.Version == 6 && (h.TransportOff > most || h.Fragment && r.Hook.Reassemble)
}

// Size is how many instructions the program has, without what Code adds: 1 for each 8 bytes.
func (r *Result) Size() int { return int(r.body.Size() / asm.InstructionSize) }

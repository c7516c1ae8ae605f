package daemon

import (
	"sync"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/internal/control"
	"github.com/weirnet/weir/processor"
)

// explains makes explanations, one at a time: each has a pipeline of its own, since a flow that one has seen is not new to the next.
type explains struct{ mu sync.Mutex }

// Explain says what the policy in force says to a packet. Callouts of the copy of the policy are run, which count and record for
// nobody.
func (s *Session) Explain(r *control.ExplainRequest) (*processor.Explanation, error) {
	spare := s.plan.Load().Spare
	if spare == nil {
		return nil, badRequest("there is no policy: weir runs a filter that was given by itself, and passes everything")
	}
	if len(r.Packet) == 0 || len(r.Packet) > divertdrv.MTUMax {
		return nil, badRequest("a packet has 1 to %d bytes, from its IP header; this one has %d", divertdrv.MTUMax, len(r.Packet))
	}
	s.explains.mu.Lock()
	defer s.explains.mu.Unlock()
	x, err := processor.NewExplainer(spare)
	if err != nil {
		return nil, err
	}
	e := x.Explain(divertdrv.NewPacket(addressOf(r), r.Packet))
	return e, x.Close()
}

func addressOf(r *control.ExplainRequest) (a divertdrv.Address) {
	var h wire.Headers
	wire.Parse(r.Packet, &h)
	layer := divertdrv.Network
	if r.Forward {
		layer = divertdrv.NetworkForward
	}
	a.SetLayer(layer, addr.EventPacket)
	a.SetOutbound(r.Outbound || r.Loopback)
	a.SetLoopback(r.Loopback)
	a.SetIPv6(h.Version == 6)
	a.SetChecksums(true)
	a.SetInterface(r.Interface, 0)
	return a
}

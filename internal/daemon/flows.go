package daemon

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/internal/control"
	"github.com/weirnet/weir/processor"
)

// Flows tells the first flows in an order. What is kept while it looks is bounded by the limit.
func (s *Session) Flows(q control.FlowQuery) (control.Flows, error) {
	x := control.Flows{Flows: []control.Flow{}}
	order := flowOrders[cmp.Or(q.Sort, control.SortBytes)]
	if order == nil {
		return x, badRequest("unknown sort %q", q.Sort)
	}
	limit := min(max(cmp.Or(q.Limit, control.FlowsDefault), 1), control.FlowsMax)
	s.proc.Flows(func(f *processor.FlowInfo) bool {
		x.Total++
		flow := flowOf(f)
		if q.Match != "" && !strings.Contains(flowText(&flow), q.Match) {
			return true
		}
		if x.Flows = append(x.Flows, flow); len(x.Flows) >= 2*limit {
			x.Flows = first(x.Flows, order, limit)
		}
		return true
	})
	x.Flows = first(x.Flows, order, limit)
	return x, nil
}

func first(flows []control.Flow, order func(a, b *control.Flow) int, limit int) []control.Flow {
	slices.SortFunc(flows, func(a, b control.Flow) int {
		return cmp.Or(order(&a, &b), cmp.Compare(a.Source, b.Source), cmp.Compare(a.Destination, b.Destination))
	})
	return flows[:min(len(flows), limit)]
}

var flowOrders = map[string]func(a, b *control.Flow) int{
	control.SortBytes:   func(a, b *control.Flow) int { return cmp.Compare(b.Bytes, a.Bytes) },
	control.SortPackets: func(a, b *control.Flow) int { return cmp.Compare(b.Packets, a.Packets) },
	control.SortAge:     func(a, b *control.Flow) int { return cmp.Compare(b.AgeNS, a.AgeNS) },
	control.SortIdle:    func(a, b *control.Flow) int { return cmp.Compare(a.IdleNS, b.IdleNS) },
}

func flowText(f *control.Flow) string {
	return fmt.Sprintf("%s %s > %s %s", f.Protocol, f.Source, f.Destination, f.State)
}

func flowOf(f *processor.FlowInfo) control.Flow {
	x := control.Flow{
		Protocol: protocolName(f.Key.Proto()), Source: endpoint(f.Key.Proto(), f.Source), Destination: endpoint(f.Key.Proto(), f.Destination),
		Outbound: f.Outbound, State: f.State, Midstream: f.Midstream, Packets: f.Packets, Bytes: f.Bytes,
		AgeNS: f.Age.Nanoseconds(), IdleNS: f.Idle.Nanoseconds(), Waiting: f.Waiting, Handle: f.Handle,
	}
	if f.Refused {
		x.Refused = f.Cause.String()
	}
	return x
}

func protocolName(proto uint8) string {
	switch proto {
	case wire.ProtoTCP:
		return "tcp"
	case wire.ProtoUDP:
		return "udp"
	case wire.ProtoICMP:
		return "icmp"
	case wire.ProtoICMPv6:
		return "icmpv6"
	}
	return strconv.Itoa(int(proto))
}

// endpoint writes an address, with its port where the protocol has some.
func endpoint(proto uint8, e wire.Endpoint) string {
	a := e.Addr().Unmap()
	switch {
	case proto != wire.ProtoTCP && proto != wire.ProtoUDP:
		return a.String()
	case a.Is6():
		return fmt.Sprintf("[%v]:%d", a, e.Port)
	}
	return fmt.Sprintf("%v:%d", a, e.Port)
}

// Package count is the callout that counts packets and bytes, by direction and transport. It decides nothing.
package count

import (
	"sync/atomic"

	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/processor"
)

// Type is what policies call it.
const Type = "count"

// Callout counts what it is shown. It may be shown packets by any number of workers at a time.
type Callout struct {
	name  string
	cells [directions][transports]cell
}

const (
	inbound = iota
	outbound
	forwarded
	directions
)

const transports = int(wire.ICMPv6) + 1

// cell is alone on its cache line, so that workers that count different things do not wait for each other.
type cell struct {
	packets, bytes atomic.Uint64
	_              [48]byte
}

// New returns a callout that has counted nothing.
func New(name string) *Callout { return &Callout{name: name} }

// Factory makes one for a policy. Its config has no keys.
func Factory(name string, decode func(into any) error) (processor.Callout, error) {
	var none struct{}
	if err := decode(&none); err != nil {
		return nil, err
	}
	return New(name), nil
}

// Name returns the name that the policy gives it.
func (c *Callout) Name() string { return c.name }

// Classify counts the packet.
func (c *Callout) Classify(cl *processor.Classification) processor.Verdict {
	direction := inbound
	switch {
	case cl.Layer == processor.IPForward:
		direction = forwarded
	case cl.Packet.Addr.Outbound():
		direction = outbound
	}
	n := &c.cells[direction][cl.Headers().Transport]
	n.packets.Add(1)
	n.bytes.Add(uint64(len(cl.Packet.Data)))
	return processor.Verdict{}
}

// Count is a number of packets, and of their bytes from the IP header on.
type Count struct {
	Packets uint64 `json:"packets"`
	Bytes   uint64 `json:"bytes"`
}

// Transports are counts by transport. Other is what has no whole transport header of these kinds: later fragments, other
// protocols, what cannot be decoded.
type Transports struct {
	TCP    Count `json:"tcp"`
	UDP    Count `json:"udp"`
	ICMP   Count `json:"icmp"`
	ICMPv6 Count `json:"icmpv6"`
	Other  Count `json:"other"`
}

// Stats is a snapshot. Its numbers are read one after the other while workers count on.
type Stats struct {
	Inbound   Transports `json:"inbound"`
	Outbound  Transports `json:"outbound"`
	Forwarded Transports `json:"forwarded"`
}

// Stats returns a snapshot.
func (c *Callout) Stats() Stats {
	return Stats{Inbound: c.read(inbound), Outbound: c.read(outbound), Forwarded: c.read(forwarded)}
}

func (c *Callout) read(direction int) Transports {
	count := func(t wire.Transport) Count {
		n := &c.cells[direction][t]
		return Count{Packets: n.packets.Load(), Bytes: n.bytes.Load()}
	}
	return Transports{
		TCP: count(wire.TCP), UDP: count(wire.UDP), ICMP: count(wire.ICMP), ICMPv6: count(wire.ICMPv6), Other: count(wire.NoTransport),
	}
}

// Total adds up all transports.
func (t Transports) Total() (sum Count) {
	for _, c := range []Count{t.TCP, t.UDP, t.ICMP, t.ICMPv6, t.Other} {
		sum.Packets += c.Packets
		sum.Bytes += c.Bytes
	}
	return sum
}

// Total adds up all directions.
func (s Stats) Total() (sum Count) {
	for _, t := range []Transports{s.Inbound, s.Outbound, s.Forwarded} {
		c := t.Total()
		sum.Packets += c.Packets
		sum.Bytes += c.Bytes
	}
	return sum
}

// Counters reports what Stats does, name by name: inbound_tcp_packets, inbound_tcp_bytes and so on, those that are not 0.
func (c *Callout) Counters(yield func(name string, n uint64) bool) {
	for d, direction := range []string{"inbound", "outbound", "forwarded"} {
		for t := range transports {
			n, name := &c.cells[d][t], direction+"_"+transportName(wire.Transport(t))
			if n.packets.Load() == 0 {
				continue
			}
			if !yield(name+"_packets", n.packets.Load()) || !yield(name+"_bytes", n.bytes.Load()) {
				return
			}
		}
	}
}

func transportName(t wire.Transport) string {
	if t == wire.NoTransport {
		return "other"
	}
	return t.String()
}

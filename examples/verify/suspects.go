package main

import (
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/inject"
	"github.com/weirnet/weir/processor"
)

// callout is a callout by a function.
type callout struct {
	name     string
	classify func(c *processor.Classification) processor.Verdict
}

// Name returns its name.
func (c callout) Name() string { return c.name }

// Classify calls the function.
func (c callout) Classify(cl *processor.Classification) processor.Verdict { return c.classify(cl) }

// needy is a callout that declares what it needs.
type needy struct {
	callout
	needs processor.Needs
}

// Needs is what it has to be shown.
func (n needy) Needs() processor.Needs { return n.needs }

// suspects has a callout for each of the seven considerations that breaks it, and two that keep them all.
func suspects() []suspect {
	nothing := func(*processor.Classification) processor.Verdict { return processor.Verdict{} }
	return []suspect{
		{callout: &callout{"looks", nothing}, layer: processor.OutboundTransport},
		{callout: &needy{callout{"needless", blocksPort80}, processor.NeedsHeaders}, layer: processor.ALEAuthConnect},
		{callout: &needy{callout{"low", nothing}, processor.NeedsDatagrams}, layer: processor.InboundIPPacket},
		{callout: &callout{"late", blocks}, layer: processor.ALEFlowEstablished},
		{callout: &callout{"slow", sleeps}, layer: processor.OutboundTransport, slow: true},
		{callout: &callout{"stale", injectsStale}, layer: processor.InboundTransport},
		{callout: &callout{"inline", injectsInline}, layer: processor.OutboundTransport},
		{callout: &callout{"misaligned", injectsMisaligned}, layer: processor.OutboundTransport},
		{callout: &callout{"deferring", defers}, layer: processor.OutboundTransport},
	}
}

// blocksPort80 decides what a plain filter could.
func blocksPort80(c *processor.Classification) processor.Verdict {
	if t := c.Headers().TCP(c.Packet.Data); t != nil && t.DstPort() == 80 {
		return processor.Verdict{Action: processor.Block}
	}
	return processor.Verdict{}
}

// blocks blocks, where both ends believe that they are connected, and gives no reason.
func blocks(*processor.Classification) processor.Verdict {
	return processor.Verdict{Action: processor.Block}
}

// sleeps holds its worker up.
func sleeps(*processor.Classification) processor.Verdict {
	time.Sleep(slowness)
	return processor.Verdict{}
}

// injectsStale puts a datagram in on the receive path whose header checksum it calls final, and which is wrong.
func injectsStale(c *processor.Classification) processor.Verdict {
	if c.Headers().UDP(c.Packet.Data) == nil {
		return processor.Verdict{}
	}
	p := c.Packet.Clone()
	p.Data[10] ^= 0xff
	p.Addr.SetIPChecksum(true)
	_ = c.Inject(inject.Injection{Packet: p, Path: inject.Receive}) // it is repaired
	return processor.Verdict{}
}

// injectsInline puts TCP in while a transport layer classifies.
func injectsInline(c *processor.Classification) processor.Verdict {
	if c.Headers().Proto == wire.ProtoTCP {
		_ = c.Inject(inject.Injection{Packet: c.Packet.Clone(), Path: inject.Send}) // it is refused
	}
	return processor.Verdict{}
}

// injectsMisaligned sends a datagram whose header does not start at a pointer-aligned address.
func injectsMisaligned(c *processor.Classification) processor.Verdict {
	if c.Headers().UDP(c.Packet.Data) == nil {
		return processor.Verdict{}
	}
	room := make([]byte, 1+len(c.Packet.Data)) // Go aligns what it makes
	data := room[1:]
	copy(data, c.Packet.Data)
	_ = c.Inject(inject.Injection{Packet: divertdrv.NewPacket(*c.Packet.Addr, data), Path: inject.Send}) // it is moved
	return processor.Verdict{}
}

// defers puts TCP in as it should be: by a DPC, when no classification runs.
func defers(c *processor.Classification) processor.Verdict {
	if c.Headers().Proto == wire.ProtoTCP {
		p := c.Packet.Clone()
		c.Defer(func(d *processor.Deferred) { _ = d.Inject(inject.Injection{Packet: p, Path: inject.Send}) })
	}
	return processor.Verdict{}
}

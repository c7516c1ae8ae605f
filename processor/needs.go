package processor

import "fmt"

// Needs says what a callout has to be shown.
type Needs uint8

// What callouts may need, from the most general on.
const (
	NeedsFragments   Needs = iota + 1 // each packet as it travels, fragments too
	NeedsPackets                      // each whole packet
	NeedsStream                       // the bytes of TCP connections
	NeedsDatagrams                    // the payload of UDP and of ICMP that is no error
	NeedsFirstPacket                  // the first packet of a flow
	NeedsHeaders                      // header fields: what conditions tell
)

var needWords = [...]string{"", "fragments", "each packet", "stream data", "the payload of datagrams", "the first packet of a flow", "header fields"}

// String returns what is needed, in words.
func (n Needs) String() string {
	if n > 0 && int(n) < len(needWords) {
		return needWords[n]
	}
	return fmt.Sprintf("needs(%d)", uint8(n))
}

// Needer is a callout that declares what it needs, so that it can be told where it would stand better ("Choice of Filtering Layer").
type Needer interface {
	Callout
	Needs() Needs
}

// HighestLayer is the highest layer that shows what is needed in a direction: the higher the layer, the fewer the
// classifications, and the less is left to do, since what is seen there is whole, and of IPsec decrypted. For Both it is the
// layer of outbound packets. WFP would show a stream at its STREAM layers and datagrams at DATAGRAM_DATA, which is also what it
// asks for beside IPsec ("Developing IPsec-Compatible Callout Drivers"); Weir shows a stream as segments, at transport layers.
func HighestLayer(n Needs, d Direction) Layer {
	way := func(in, out Layer) Layer {
		if d == Inbound {
			return in
		}
		return out
	}
	switch n {
	case NeedsFragments:
		return way(InboundIPPacket, OutboundIPPacket)
	case NeedsPackets, NeedsStream:
		return way(InboundTransport, OutboundTransport)
	case NeedsDatagrams:
		return DatagramData
	default:
		return way(ALEAuthRecvAccept, ALEAuthConnect)
	}
}

// height orders layers from those of packets to those of connections.
func (l Layer) height() int {
	switch {
	case !l.Transport():
		return 0
	case l == InboundTransport || l == OutboundTransport:
		return 1
	case l.ALE():
		return 3
	}
	return 2
}

// encrypted says whether packets of IPsec are still, or already, encrypted there.
func (l Layer) encrypted() bool { return l.of().height() == 0 }

// Advice returns the breaches of considerations that show without a packet, each once: callouts that decide what a plain filter
// could, callouts at lower layers than what they need, and plain blocks at flow-established without a reason. That a callout takes
// too long shows only when it runs.
func (p *Policy) Advice() (all []Violation) { return p.advice(nil, everyFilter) }

func (p *Policy) advice(known callouts, which func(*Filter) bool) (all []Violation) {
	type breach struct {
		rule    Rule
		layer   Layer
		callout string
	}
	told := map[breach]bool{}
	for i := range p.filters {
		f := &p.filters[i].Filter
		if !which(f) {
			continue
		}
		v, found := f.advice(known.of(f))
		key := breach{v.Rule, v.Layer, v.Callout}
		if !found || v.Callout != "" && told[key] {
			continue
		}
		told[key] = true
		all = append(all, v)
	}
	return all
}

func (f *Filter) advice(callout Callout) (v Violation, found bool) {
	if f.Action == ActionBlock && f.Layer == ALEFlowEstablished && f.Reason == "" {
		return blockAtEstablished(f), true
	}
	c, declares := callout.(Needer)
	if !declares || f.Layer.IsDiscard() {
		return v, false
	}
	v = Violation{Layer: f.Layer, Callout: c.Name(), Filter: f.Name}
	needs := c.Needs()
	switch best := HighestLayer(needs, f.Layer.Direction()); {
	case needs == NeedsHeaders:
		v.Rule, v.Detail, v.Remedy = RuleNeedlessCallout, "decides only on header fields", "a plain filter would do"
		return v, true
	case f.Layer != IPForward && f.Layer.height() < best.height():
		v.Rule = RuleLowLayer
		v.Detail = fmt.Sprintf("needs %v but stands at %v", needs, f.Layer)
		v.Remedy = fmt.Sprintf("the highest layer that will do is %v", best)
		if f.Layer.encrypted() {
			v.Remedy += ", and packets of IPsec are encrypted here"
		}
		return v, true
	}
	return v, false
}

package processor

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/inject"
)

// inlineMatrix is layer × protocol × inline or deferred, from "Callout Driver Programming Considerations" (inline injection of TCP
// packets from transport layers) and the WFP sample, which forces TCP out of band at transport layers and above, but not at the
// network and forward layers. What is refused inline is what a DPC may do.
const inlineMatrix = `
layer                            TCP inline  TCP deferred  UDP inline  UDP deferred
inbound-ippacket                 yes         yes           yes         yes
inbound-transport                refused     yes           yes         yes
outbound-transport               refused     yes           yes         yes
outbound-ippacket                yes         yes           yes         yes
ipforward                        yes         yes           yes         yes
datagram-data                    refused     yes           yes         yes
inbound-icmp-error               refused     yes           yes         yes
outbound-icmp-error              refused     yes           yes         yes
ale-auth-connect                 refused     yes           yes         yes
ale-auth-recv-accept             refused     yes           yes         yes
ale-flow-established             refused     yes           yes         yes
inbound-ippacket-discard         yes         yes           yes         yes
inbound-transport-discard        refused     yes           yes         yes
outbound-transport-discard       refused     yes           yes         yes
outbound-ippacket-discard        yes         yes           yes         yes
ipforward-discard                yes         yes           yes         yes
datagram-data-discard            refused     yes           yes         yes
inbound-icmp-error-discard       refused     yes           yes         yes
outbound-icmp-error-discard      refused     yes           yes         yes
ale-auth-connect-discard         refused     yes           yes         yes
ale-auth-recv-accept-discard     refused     yes           yes         yes
ale-flow-established-discard     refused     yes           yes         yes
`

func TestInlineMatrix(t *testing.T) {
	var got strings.Builder
	fmt.Fprintf(&got, "\n%-33s%-12s%-14s%-12s%s\n", "layer", "TCP inline", "TCP deferred", "UDP inline", "UDP deferred")
	for l := range Layer(Layers) {
		fmt.Fprintf(&got, "%-33s", l)
		var cells []string
		for _, answer := range [][]byte{tcpOf(here, there, ackFlag), udpOf(here, there)} {
			cells = append(cells, tryInline(t, l, answer, false), tryInline(t, l, answer, true))
		}
		fmt.Fprintf(&got, "%-12s%-14s%-12s%s\n", cells[0], cells[1], cells[2], cells[3])
	}
	if got.String() != inlineMatrix {
		t.Errorf("got%s\nwant%s", got.String(), inlineMatrix)
	}
}

// tryInline classifies a packet by one filter at a layer, whose callout injects another.
func tryInline(t *testing.T, l Layer, answer []byte, deferred bool) string {
	t.Helper()
	err := errors.New("not asked")
	in := func() inject.Injection {
		return inject.Injection{Packet: divertdrv.NewPacket(divertdrv.Address{}, append([]byte(nil), answer...)), Path: inject.Send}
	}
	c := &callout{"injects", func(c *Classification) Verdict {
		if !deferred {
			err = c.Inject(in())
		} else if !c.Defer(func(d *Deferred) { err = d.Inject(in()) }) {
			t.Error("no room to defer")
		}
		return Verdict{}
	}}
	x := explainer(t, policyOf(t, Filter{Name: "f", Layer: l, Action: ActionCalloutUnknown, Callout: c}))
	w := x.p.workers[0]
	w.mu.Lock()
	w.adopt()
	p := outboundPacket(udpOf(here, there))
	flow, _, _ := w.flows.find(p.Data, p.Headers(), 0)
	w.c = Classification{Packet: p, Flow: flow, k: &w.classifier, Layer: l, index: inNoBatch}
	var d decision
	w.decide(w.policy.layers[l], &d)
	w.mu.Unlock()
	w.submit()
	switch {
	case err == nil:
		return "yes"
	case errors.Is(err, inject.ErrInlineTCPInjection):
		return "refused"
	}
	return err.Error()
}

package livetest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/weirnet/weir/internal/nettest"
)

// judgedPolicy leaves all flows to the kernel after their fourth packet, if the driver line lets it.
const judgedPolicy = `
driver: {backend: nfqueue%s}
handles: [{layer: network, filter: "udp.DstPort == 7"}]
filters:
  - {name: rest, layer: outbound-transport, action: callout, callout: rest, type: inspection}
callouts:
  - {name: rest, type: judged, config: {packets: 4}}
`

// The program leaves a judged flow to the kernel, says how much of it, and each datagram arrives once and in order. Where the driver
// may not, the same policy passes the same, and says why nothing stayed.
func TestRunJudged(t *testing.T) {
	for _, c := range []struct {
		name, more string
		cuts       bool
	}{{"nfqueue", "", true}, {"fail-closed", ", fail-closed: true", false}} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			sink := b.sink(7)
			p := start(t, b.here.NS, "running", "run", "--json", policyFile(t, fmt.Sprintf(judgedPolicy, c.more)))
			const n = 400
			src := nettest.DialUDP(t, b.here.NS, sink.Addr())
			for i := 0; i < n; i += 10 { // with pauses, in which the flow is seen to have nothing under way
				src.Send(nettest.Stream{Count: 10, First: uint32(i), Size: 64})
				sink.WaitQuiet(i+10, 5*time.Second)
			}
			if got := sink.Wait(n); got.Received != n || got.Reordered+got.Duplicates+got.Damaged != 0 {
				t.Errorf("%+v, want %d", got, n)
			}
			r := p.end()
			counters := r.Callouts[0].Counters
			if r.Received+r.CutThrough != n || r.Passed != r.Received || r.Lost != 0 || counters["early"] != 3 {
				t.Errorf("%s, %d cut through; %v", r.Law(), r.CutThrough, counters)
			}
			if cut := r.CutThrough >= n/2; cut != c.cuts || (counters["unsupported"] == n-3) == c.cuts || (r.Pipeline["judged"] > 0) != c.cuts {
				t.Errorf("%d cut through of %d; %v; %v", r.CutThrough, n, counters, r.Pipeline)
			}
			b.sound()
			b.leftNothing()
		})
	}
}

// A reload may bring the first judged callout, whose flows stay in user space until weir is started anew: the answer says so, and
// only then.
func TestReloadBringsJudged(t *testing.T) {
	c := newConsole(newBench(t, nettest.Program("nft", "nftables")))
	reload := func(policy string, noted bool) {
		t.Helper()
		c.write(policy)
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		x, err := c.client.Reload(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if told := len(x.Notes) == 1 && strings.Contains(x.Notes[0], "restart"); told != noted || len(x.Notes) > 1 {
			t.Errorf("notes %q, want one about a restart: %t", x.Notes, noted)
		}
	}
	judged := "version: 1" + fmt.Sprintf(judgedPolicy, "")
	d := c.start()
	reload(judged, true)
	reload(narrowPolicy, false)
	d.end()
	c.write(judged)
	d = c.start()
	reload(narrowPolicy, false)
	reload(judged, false)
	d.end()
	c.leftNothing()
}

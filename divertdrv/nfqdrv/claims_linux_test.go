package nfqdrv_test

import (
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/nfqdrv/internal/queue"
	"github.com/weirnet/weir/divertdrv/nfqdrv/internal/rules"
	"github.com/weirnet/weir/internal/nettest"
)

// What others' rules send to a queue that nobody listens to, as those of a killed process that was to fail closed, does not come to
// a handle that is opened later.
func TestQueuesThatRulesNameAreLeftAlone(t *testing.T) {
	b := newBench(t)
	other, err := rules.Open(rules.Config{Namespace: b.here.NS.FD(), Priority: 9, Hooks: []rules.Hook{rules.Output}})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	err = other.Set([]rules.Rule{{Hook: rules.Output, Action: rules.Queue, To: rules.To{Queue: queue.DefaultFirst, Count: 3}}})
	if err != nil {
		t.Fatal(err)
	}
	h := b.open("outbound", divertdrv.Options{})
	relay(t, h, nil)
	if n, err := nettest.Ping(b.here.NS, b.there.V4, nettest.Echo{Count: 2, Wait: 100 * time.Millisecond}); n != 0 || err != nil {
		t.Errorf("%d of 2 echoes passed a rule that fails closed, %v", n, err)
	}
	if st := h.Stats(); st.Received != 0 {
		t.Errorf("received %d packets of another program's queue", st.Received)
	}
}

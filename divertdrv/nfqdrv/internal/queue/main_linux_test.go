package queue

import (
	"net/netip"
	"runtime"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weirnet/weir/internal/nettest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is two namespaces with a queue in the first.
type bench struct {
	*Queue
	here, there *nettest.Link
	t           testing.TB
	v           *Verdicts
}

// newBench opens a queue whose rule is not there yet.
func newBench(t testing.TB, c Config) *bench {
	t.Helper()
	nettest.Need(t, nettest.Root, nettest.Program("iptables-nft", "iptables"))
	b := &bench{t: t}
	b.here, b.there = nettest.Pair(t, nettest.NewNamespace(t), nettest.NewNamespace(t))
	var err error
	b.here.NS.Do(func() { b.Queue, err = Open(c) })
	if err != nil {
		t.Fatal(err)
	}
	b.v = b.NewVerdicts()
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return b
}

// divert sends what the kernel sends to port 7 of UDP through the queue.
func (b *bench) divert(chain string, more ...string) {
	b.t.Helper()
	args := append([]string{"-I", chain, "-p", "udp", "--dport", "7", "-j", "NFQUEUE", "--queue-num", strconv.Itoa(int(b.Number()))}, more...)
	b.here.NS.Command("iptables-nft", args...)
}

// next is the next packet. It blocks until there is one.
func (b *bench) next(p *Packet) {
	b.t.Helper()
	for !b.Next(p) {
		if _, err := b.Recv(Block); err != nil {
			b.t.Fatal(err)
		}
	}
}

// sink listens at the other end's port 7.
func (b *bench) sink() *nettest.Sink {
	return nettest.ListenUDP(b.t, b.there.NS, netip.AddrPortFrom(b.there.V4, 7))
}

func (b *bench) send(s nettest.Stream) {
	b.t.Helper()
	nettest.SendUDP(b.t, b.here.NS, netip.AddrPortFrom(b.there.V4, 7), s)
}

// reaches waits until the kernel's counters are as they should be.
func (b *bench) reaches(what string, ok func(s Stats) bool) {
	b.t.Helper()
	for until := time.Now().Add(10 * time.Second); ; {
		s, known := b.Stats()
		if known && ok(s) {
			return
		}
		if time.Now().After(until) {
			b.t.Fatalf("%s: not reached: %+v", what, s)
		}
		runtime.Gosched()
	}
}

func must(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

package simdrv

import (
	"testing"

	"github.com/weirnet/weir/divertdrv"
)

// What WinDivert 2.2 does and its documentation says, point by point: a row's name begins with the section (2 the address, 3 layers,
// flags and priorities, 4 queues and calls, 5 the driver). Points that tests with another subject show are not repeated here:
//
//	2 direction, loopback, forward, family, timestamp     TestWays       3 a flow's events and process   TestFlows, TestFlowOfAServer
//	2 checksums of an interface that computes them        TestOffload…   3 sockets: events, blocking     TestSocketEvents, TestSocketsAreBlocked
//	2 interfaces of injected packets   TestInjectedIsRouted, TestNoSuchInterface
//	3 reassembled packets or fragments TestFragmentsFlag, TestFragmentsThatStay, TestRanksOfWholes
//	4 what a full queue sheds          TestLinkOverload                  4 time in the queue             TestVirtualClock
//	5 the MTU of what the host sends   TestMTU                           5 a crash is a Close            TestDriverDies
//
// Not modelled: the second, looped copy of a multicast that its sender joined (2), since a simulated host joins no group; the work queue in
// front of the packet queue (4), whose limit is the same; injection of several packets going on after an error (4), which
// divertdrv.Handle.Inject defines otherwise; a fresh Timestamp at each handle (2): it stays that of the capture.
type point struct {
	name string
	test func(t *testing.T)
}

func runPoints(t *testing.T, points []point) {
	t.Helper()
	for _, p := range points {
		t.Run(p.name, p.test)
	}
}

// bench is a host with an address whose packets are written down.
type bench struct {
	*Stack
	t         *testing.T
	out, host []seen
}

func newBench(t *testing.T, change ...func(*Config)) *bench {
	x := &bench{t: t}
	c := Config{OnWire: record(&x.out), OnHost: record(&x.host)}
	for _, f := range change {
		f(&c)
	}
	x.Stack = New(c)
	t.Cleanup(x.Close)
	return x
}

func (x *bench) open(filter string, priority int16, flags divertdrv.Flags) *divertdrv.Handle {
	x.t.Helper()
	return open(x.t, x.Stack, filter, divertdrv.Options{Priority: priority, Flags: flags})
}

func (x *bench) passAll(h *divertdrv.Handle, want int) {
	x.t.Helper()
	pass(x.t, h, recv(x.t, h, want))
}

// left wants so many packets to have gone to the wire and to the host.
func (x *bench) left(out, host int) {
	x.t.Helper()
	if len(x.out) != out || len(x.host) != host {
		x.t.Errorf("%d to the wire, %d to the host, want %d and %d", len(x.out), len(x.host), out, host)
	}
}

// outgoing is a free outbound packet whose checksums are final or not.
func outgoing(data []byte, final bool) []divertdrv.Packet {
	var a divertdrv.Address
	a.SetOutbound(true)
	a.SetChecksums(final)
	return []divertdrv.Packet{*divertdrv.NewPacket(a, data)}
}

package rules

import (
	"net/netip"
	"testing"

	"github.com/weirnet/weir/internal/nettest"
)

// At prerouting Local tells what is for this host from what it forwards, as routing will.
func TestLocal(t *testing.T) {
	nettest.Need(t, nettest.Root)
	r := nettest.NewRouted(t)
	b := &bench{t, r.Left, r.Server}
	table := b.open(0, Prerouting)
	in := Device{Index: uint32(r.Left.Index)}
	b.must(table.Set([]Rule{{Hook: Prerouting, In: in, Match: b.protocol(udp), Local: true, Action: Pass, Count: true}}))
	want := uint64(0)
	for _, c := range []struct {
		to    string
		local uint64
	}{
		{r.Server.V4.String(), 0},
		{r.Left.V4.String(), 1},
		{r.Right.V4.String(), 1}, // an address of this host, whichever device has it
		{r.Server.V6.String(), 0},
		{"224.0.0.251", 1},
	} {
		nettest.SendUDP(t, r.Client.NS, netip.AddrPortFrom(netip.MustParseAddr(c.to), 9), nettest.Stream{Count: 1})
		want += c.local
		b.eventually("the packet to "+c.to, func() bool { return b.counters(table)[0].Packets == want })
	}
	if err := table.Set([]Rule{{Hook: Prerouting, Local: true, Action: Drop}}); err != nil {
		t.Fatal(err)
	}
	for _, to := range []netip.Addr{r.Left.V4, r.Left.V6, r.Server.V4} {
		want := 0
		if to == r.Server.V4 {
			want = 1 // the neighbours of IPv6 are found by multicast, so only IPv4 is left of what is forwarded
		}
		n, err := nettest.Ping(r.Client.NS, to, nettest.Echo{Count: 1, Wait: 100e6})
		if n != want {
			t.Errorf("ping %v: %d answers, want %d; %v", to, n, want, err)
		}
	}
}

package processor_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/nfqdrv"
	"github.com/weirnet/weir/internal/nettest"
)

// Live, the script is put in by a handle above, one packet after the other, on the path and interface of each; for what is explained
// once more, right after the first handle was closed.
func TestLiveVerdictsAreEqualToTheSimulators(t *testing.T) {
	nettest.Need(t, nettest.Root)
	a, b := nettest.Pair(t, nettest.NewNamespace(t), nettest.NewNamespace(t))
	lines, pol := script(t, [2]netip.Addr{a.V4, a.V6}, [2]netip.Addr{b.V4, b.V6}), equalPolicy(t)
	d := nfqdrv.New(nfqdrv.Config{Namespace: fmt.Sprintf("/proc/self/fd/%d", a.NS.FD())})
	bringer := openAt(t, d, "false", 1)
	live := func() (*divertdrv.Handle, func()) {
		h := openAt(t, d, scripted, 0)
		return h, func() {
			for i, l := range lines {
				var addr divertdrv.Address
				addr.SetOutbound(l.outbound)
				addr.SetIPv6(l.data[0]>>4 == 6)
				addr.SetInterface(uint32(a.Index), 0)
				addr.SetChecksums(true)
				if _, err := bringer.Inject([]divertdrv.Packet{*divertdrv.NewPacket(addr, slices.Clone(l.data))}); err != nil {
					t.Fatalf("packet %d: %v", i, err)
				}
				received(t, h, uint64(i+1))
			}
		}
	}
	theSame(t, "nfqdrv", tell(t, pol, live, true), tell(t, pol, onSimulator(t, lines), true))
	closed(t, bringer)
}

package livetest

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/weirnet/weir/internal/nettest"
)

// ping gets every answer, small ones and fragmented ones, from the other host and from this one.
func TestPing(t *testing.T) {
	b := newBench(t, nettest.Program("ping", "iputils-ping"))
	p := b.divert("true")
	for _, to := range []netip.Addr{b.there.V4, b.there.V6, b.here.V4, b.here.V6} {
		for _, size := range []string{"0", "56", "4000", "65000"} {
			out, err := b.here.NS.Run("ping", "-n", "-c", "3", "-i", "0.01", "-W", "5", "-s", size, to.String())
			if err != nil || !strings.Contains(out, "3 packets transmitted, 3 received, 0% packet loss") {
				t.Errorf("ping -s %s %v: %v\n%s", size, to, err, out)
			}
		}
	}
	p.endPassed(4 * 4 * 6)
	b.sound()
}

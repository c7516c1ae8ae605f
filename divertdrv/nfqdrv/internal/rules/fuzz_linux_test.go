package rules

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/internal/netlink"
)

// What reads the kernel's answers takes anything, and says no more than it was given.
func FuzzAnswers(f *testing.F) {
	var e exprs
	e.device(unix.NFT_META_IIF, Device{Index: 1})
	e.counter()
	e.queueTarget(To{Queue: 3, Count: 2})
	a := nfgen(unix.NFPROTO_INET, 0)
	a.String(unix.NFTA_RULE_TABLE, "t")
	a.Bytes(unix.NFTA_RULE_EXPRESSIONS, e)
	f.Add([]byte(a))
	f.Add([]byte{})
	f.Add([]byte{1, 0, 0, 0, 4, 0, 4, 0})
	f.Fuzz(func(t *testing.T, body []byte) {
		var claims []Claim
		_ = readClaims(netlink.Message{Body: body}, &claims)
		var told []Counter
		_ = netlink.Each(body, func(_ uint16, v []byte) error { return readCounter(v, &told) })
		if len(claims)+len(told) > len(body)/4+1 {
			t.Fatalf("%d claims and %d counters in %d bytes", len(claims), len(told), len(body))
		}
		_, _ = readChain(netlink.Message{Body: body})
		_ = orphan(string(body), open)
	})
}

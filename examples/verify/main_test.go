package main

import (
	"testing"

	"github.com/weirnet/weir/processor"
)

func Example() {
	main()
	// Output:
	// looks: keeps all rules
	// needless at ale-auth-connect: decides only on header fields (needless-callout)
	//   a plain filter would do
	// low at inbound-ippacket: needs the payload of datagrams but stands at inbound-ippacket (low-layer)
	//   the highest layer that will do is datagram-data, and packets of IPsec are encrypted here
	// late at ale-flow-established: BLOCK at ale-flow-established needs a security reason (block-at-established)
	//   decide at ale-auth-connect or ale-auth-recv-accept
	// slow at outbound-transport: took longer than its budget (time-budget)
	//   move the work to a deferred queue
	// stale at inbound-transport: IPv4 header checksum 0x91ca, want 0x6eca, on receive injection (stale-checksum)
	//   clear the Address's IPChecksum, or compute it: a reassembled packet carries a stale one
	// inline at outbound-transport: inline TCP injection (inline-tcp)
	//   queue it with Defer (TCP locks are held during classify)
	// misaligned at outbound-transport: IP header at an address that is 1 more than a multiple of 8, on send injection (misaligned)
	//   start the packet at an aligned address; a misaligned one costs a copy
	// deferring: keeps all rules
}

// A callout of one's own is verified like this: it must break nothing.
func TestDeferringKeepsAllRules(t *testing.T) {
	found, err := verify(suspect{callout: &callout{"deferring", defers}, layer: processor.OutboundTransport})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range found {
		t.Error(v)
	}
}

// The suspects break each of the seven considerations, and nothing else.
func TestEachRuleHasASuspect(t *testing.T) {
	broken := map[string]int{}
	for _, s := range suspects() {
		found, err := verify(s)
		if err != nil {
			t.Fatal(err)
		}
		for _, v := range found {
			broken[v.Rule.String()]++
			if v.Callout != s.callout.Name() {
				t.Errorf("%v is told of %s", v, s.callout.Name())
			}
		}
	}
	for _, rule := range processor.RuleNames() {
		if broken[rule] != 1 {
			t.Errorf("%s is broken %d times, want once", rule, broken[rule])
		}
	}
}

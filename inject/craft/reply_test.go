package craft_test

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"

	"pgregory.net/rapid"

	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/inject/craft"
)

func TestReply(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := rapid.SampledFrom(families).Draw(t, "family")
		src := netip.AddrPortFrom(f.src, rapid.Uint16().Draw(t, "source port"))
		dst := netip.AddrPortFrom(f.dst, rapid.Uint16().Draw(t, "destination port"))
		payload := rapid.SliceOfN(rapid.Byte(), 0, 50).Draw(t, "payload")
		b, err := rapid.SampledFrom([]func() ([]byte, error){
			func() ([]byte, error) { return craft.UDP(src, dst, payload) },
			func() ([]byte, error) { return craft.TCP(src, dst, craft.Segment{Flags: wire.SYN}, payload) },
			func() ([]byte, error) { return craft.Echo(f.src, f.dst, src.Port(), dst.Port(), payload) },
		}).Draw(t, "kind")()
		if err != nil {
			t.Fatal(err)
		}
		corrupt := rapid.Bool().Draw(t, "corrupt")
		if corrupt {
			b[len(b)-1] ^= 0x40
		}
		was := bytes.Clone(b)
		var h, old wire.Headers
		wire.Parse(was, &old)
		wire.SetTTL(b, &old, 1)
		if err := craft.Reply(b, &old); err != nil {
			t.Fatal(err)
		}
		wire.Parse(b, &h)
		from, to, _ := h.Endpoints(b)
		wasFrom, wasTo, _ := old.Endpoints(was)
		if from != wasTo || to != wasFrom || wire.TTL(b, &h) != 64 {
			t.Fatalf("from %v to %v, TTL %d", from, to, wire.TTL(b, &h))
		}
		ip, sum := wire.Verify(b, &h)
		if h.Version == 4 && ip != wire.SumGood || (sum == wire.SumBad) != corrupt {
			t.Fatalf("IP %v, transport %v, corrupt %v", ip, sum, corrupt)
		}
		if h.Transport == wire.ICMP && h.ICMP(b).Type() != 0 || h.Transport == wire.ICMPv6 && h.ICMPv6(b).Type() != 129 {
			t.Fatal("the answer to an echo request is no echo reply")
		}
	})
}

// An echo of nothing but zeros is the one message whose checksum must not become 0.
func TestReplyToZeros(t *testing.T) {
	b, err := craft.Echo(families[0].src, families[0].dst, 0, 0, make([]byte, 8))
	if err != nil {
		t.Fatal(err)
	}
	if err := craft.Reply(b, parsed(t, b)); err != nil {
		t.Fatal(err)
	}
	witness(t, b)
}

func TestNoReply(t *testing.T) {
	pong, _ := craft.Echo(families[0].src, families[0].dst, 1, 1, nil)
	if err := craft.Reply(pong, parsed(t, pong)); err != nil {
		t.Fatal(err)
	}
	fragment := datagram(t, families[0].src, families[0].dst, 8)
	fragment[6] |= 0x20
	cut := datagram(t, families[1].src, families[1].dst, 8)
	cut = cut[:len(cut)-1]
	routed := append([]byte(nil), datagram(t, families[1].src, families[1].dst, 8)...)
	routed = append(routed[:40:40], append([]byte{wire.ProtoUDP, 0, 0, 0, 0, 0, 0, 0}, routed[40:]...)...)
	routed[6], routed[5] = wire.ProtoRouting, routed[5]+8
	for name, b := range map[string][]byte{"an echo reply": pong, "a fragment": fragment, "cut off": cut, "routed": routed, "nothing": {}} {
		was := bytes.Clone(b)
		var h wire.Headers
		wire.Parse(b, &h)
		if err := craft.Reply(b, &h); !errors.Is(err, craft.ErrNoReply) || !bytes.Equal(b, was) {
			t.Errorf("%s: %v, changed: %v", name, err, !bytes.Equal(b, was))
		}
	}
}

func TestReplyAllocatesNothing(t *testing.T) {
	b := datagram(t, families[1].src, families[1].dst, 100)
	h := parsed(t, b)
	if n := testing.AllocsPerRun(100, func() { _ = craft.Reply(b, h) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

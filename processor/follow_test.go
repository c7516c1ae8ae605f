package processor

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/inject/craft"
)

// follower follows every packet, and holds those of one port.
type follower struct {
	n     uint64
	holds bool
	at    []int64 // Now
	told  []string
}

func (*follower) Name() string { return "follower" }

func (f *follower) Classify(c *Classification) Verdict {
	f.n++
	f.at = append(f.at, c.Now())
	if u := c.Headers().UDP(c.Packet.Data); f.holds && u != nil && u.DstPort() == 7 {
		hd, err := c.Hold(0, divertdrv.Pass)
		if err != nil {
			panic(err)
		}
		defer hd.Release(divertdrv.Pass, 0) //nolint:errcheck // the test looks at what is told
	}
	return Verdict{Follow: f.n}
}

func (f *follower) Followed(n uint64, o Outcome) {
	s := fmt.Sprintf("%d %v", n, o.Fate)
	if o.Fate == Dropped {
		s += " " + o.Cause.String()
	}
	if o.Filter != "" {
		s += fmt.Sprintf(" %s %v", o.Filter, o.Layer)
	}
	f.told = append(f.told, fmt.Sprintf("%s %d", s, o.Data[len(o.Data)-1]))
	if n == 4 {
		panic("contained")
	}
}

// source gives datagrams whose times are 10 ns apart, but for one that goes back.
type portSource struct {
	t *testing.T
	i int
}

func (*portSource) Prompt() {}

func (s *portSource) Next() (*divertdrv.Address, []byte, error) {
	ports := []uint16{53, 9, 7, 54}
	if s.i == len(ports) {
		return nil, nil, io.EOF
	}
	var a divertdrv.Address
	a.SetOutbound(true)
	a.SetChecksums(true)
	a.Timestamp = int64(1000 + 10*s.i)
	if s.i == 3 {
		a.Timestamp = 5
	}
	data, err := craft.UDP(netip.MustParseAddrPort("10.0.0.1:5000"), netip.AddrPortFrom(netip.MustParseAddr("10.0.0.2"), ports[s.i]), []byte{byte(s.i)})
	if err != nil {
		s.t.Fatal(err)
	}
	s.i++
	return &a, data, nil
}

// A follower learns what became of each packet that it was shown, with the bytes that go on.
func TestFollowed(t *testing.T) {
	f := &follower{holds: true}
	sim := simdrv.New(simdrv.Config{Source: &portSource{t: t}})
	defer sim.Close()
	h, err := divertdrv.Open("true", divertdrv.Network, &divertdrv.Options{Driver: sim})
	if err != nil {
		t.Fatal(err)
	}
	pol, err := NewPolicy([]Sublayer{{Name: "first", Weight: 9}}, []Filter{
		{Name: "follow", Layer: DatagramData, Sublayer: "first", Action: ActionCalloutInspection, Callout: f},
		{Name: "dns", Layer: OutboundTransport, When: when(t, "udp.DstPort == 53"), Action: ActionBlock},
		{
			Name: "change", Layer: OutboundIPPacket, When: when(t, "udp.DstPort == 9"),
			Action: ActionCalloutUnknown, Callout: lastByte{},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(Config{Handles: []*divertdrv.Handle{h}, Policy: pol, Settle: true, PacketTime: true})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Run(context.Background()); err != nil {
		t.Fatal(err)
	}
	h.Close()
	if s := h.Stats(); s.Conserved() != nil || s.Received != 4 || s.Passed != 3 {
		t.Errorf("%+v, %v", s, s.Conserved())
	}
	want := []string{"1 drop filter dns outbound-transport 0", "2 pass 255", "3 held 2", "4 pass 3"}
	if !slices.Equal(f.told, want) {
		t.Errorf("told %q\nwant %q", f.told, want)
	}
	if want := []int64{1000, 1010, 1020, 1020}; !slices.Equal(f.at, want) {
		t.Errorf("times %v, want %v: those of the packets, never back", f.at, want)
	}
	if s := p.Stats(); s.Panics != 1 {
		t.Errorf("%d panics, want the one of Followed", s.Panics)
	}
}

// lastByte writes 255 at the end of the packet.
type lastByte struct{}

func (lastByte) Name() string { return "last byte" }

func (lastByte) Classify(c *Classification) Verdict {
	b := c.Packet.Edit()
	b[len(b)-1] = 255
	return Verdict{}
}

package processor

import (
	"context"
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/divertdrv/wire"
)

// numbered is a datagram of one of some flows.
func numbered(flow, n uint16) []byte {
	b := make([]byte, 30)
	b[0], b[8], b[9], b[3] = 0x45, 64, wire.ProtoUDP, 30
	copy(b[12:], []byte{192, 0, 2, 1, 198, 51, 100, 2})
	binary.BigEndian.PutUint16(b[20:], flow)
	binary.BigEndian.PutUint16(b[22:], 53)
	b[25] = 10
	binary.BigEndian.PutUint16(b[28:], n)
	wire.CalcChecksums(b, 0)
	return b
}

// settled runs a processor with Settle over handles that pend the first packet of each of 20 flows, ends it while all of that is
// held, and returns the order in which packets left.
func settled(t *testing.T, during func(p *Processor, holds []*Held)) (left []uint16) {
	t.Helper()
	const last = 1000 // of a batch of its own: when it has left, all before it was handed over
	second := make(chan struct{})
	sim := simdrv.New(simdrv.Config{OnWire: func(_ *divertdrv.Address, data []byte) {
		n := binary.BigEndian.Uint16(data[28:])
		if n == last {
			close(second)
			return
		}
		left = append(left, n)
	}})
	h, err := divertdrv.Open("true", divertdrv.Network, &divertdrv.Options{Driver: sim})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	const flows = 20
	var holds []*Held
	all := make(chan struct{})
	pend := &callout{"pend", func(c *Classification) Verdict {
		if binary.BigEndian.Uint16(c.Packet.Data[28:]) < flows {
			hd, err := c.Hold(time.Hour, divertdrv.Pass)
			if err != nil {
				t.Error(err)
			}
			if holds = append(holds, hd); len(holds) == flows {
				defer close(all)
			}
		}
		return Verdict{}
	}}
	pol, err := NewPolicy(nil, []Filter{{Name: "pend", Layer: OutboundTransport, Action: ActionCalloutUnknown, Callout: pend}})
	if err != nil {
		t.Fatal(err)
	}
	p, err := New(Config{Handles: []*divertdrv.Handle{h}, Policy: pol, Settle: true})
	if err != nil {
		t.Fatal(err)
	}
	if p.Settle(t.Context()) == nil {
		t.Error("Settle before Run has nothing to wait for, and says nothing")
	}
	for n := range uint16(2 * flows) { // the second half waits behind the first
		if err := sim.Send(numbered(1000+n%flows, n)); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- p.Run(ctx) }()
	<-all
	if err := sim.Send(numbered(5000, last)); err != nil {
		t.Fatal(err)
	}
	<-second
	during(p, holds)
	cancel()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	st := h.Stats()
	if err := st.Conserved(); err != nil || st.Passed != 2*flows+1 {
		t.Errorf("passed %d of %d: %v", st.Passed, 2*flows+1, err)
	}
	return left
}

// What is held at the end goes in the order in which it was held, each with what waited behind it.
func TestSettleAtTheEnd(t *testing.T) {
	var want []uint16
	for n := range uint16(20) {
		want = append(want, n, n+20)
	}
	if left := settled(t, func(*Processor, []*Held) {}); !slices.Equal(left, want) {
		t.Errorf("left %v\nwant %v", left, want)
	}
}

// Settle waits for what a release lets go on.
func TestSettleAfterRelease(t *testing.T) {
	left := settled(t, func(p *Processor, holds []*Held) {
		for _, n := range []int{7, 3, 11} {
			if err := holds[n].Release(divertdrv.Pass, 0); err != nil {
				t.Error(err)
			}
			if err := p.Settle(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
	if want := []uint16{7, 27, 3, 23, 11, 31}; !slices.Equal(left[:6], want) {
		t.Errorf("left %v, want %v first", left, want)
	}
}

package divertdrv_test

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/internal/clock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// host is a simulated host with one handle that takes everything, on a clock that the test moves.
type host struct {
	*simdrv.Stack
	t     *testing.T
	clock *clock.Virtual
	h     *divertdrv.Handle
	wire  [][]byte // what left
}

func newHost(t *testing.T, c simdrv.Config) *host {
	x := &host{t: t, clock: clock.NewVirtual(time.Unix(1_000_000, 0))}
	c.Clock = x.clock
	c.OnWire = func(_ *divertdrv.Address, data []byte) { x.wire = append(x.wire, append([]byte(nil), data...)) }
	x.Stack = simdrv.New(c)
	h, err := divertdrv.Open("true", divertdrv.Network, &divertdrv.Options{Driver: x.Stack})
	if err != nil {
		t.Fatal(err)
	}
	x.h = h
	t.Cleanup(func() {
		_ = h.Close()
		if err := x.stats().Conserved(); err != nil {
			t.Error(err)
		}
	})
	return x
}

func (x *host) stats() *divertdrv.Stats {
	st := x.h.Stats()
	return &st
}

// recv sends n datagrams and receives them in a batch of their own.
func (x *host) recv(n int) *divertdrv.Batch {
	x.t.Helper()
	for i := range n {
		if err := x.Send(datagram(byte(i), 32)); err != nil {
			x.t.Fatal(err)
		}
	}
	b := divertdrv.NewBatch(divertdrv.BatchMax, 1<<20)
	if err := x.h.Recv(b); err != nil || b.Len() != n {
		x.t.Fatalf("Recv: %v, %d packets", err, b.Len())
	}
	return b
}

func (x *host) complete(b *divertdrv.Batch) {
	x.t.Helper()
	if err := x.h.Complete(b); err != nil {
		x.t.Fatal(err)
	}
}

func (x *host) passAll(b *divertdrv.Batch) {
	x.t.Helper()
	for i := range b.Packets() {
		if !b.IsHeld(i) {
			b.Packets()[i].Set(divertdrv.Pass, 0)
		}
	}
	x.complete(b)
}

// datagram is an IPv4 UDP datagram with right checksums whose payload is all v.
func datagram(v byte, payload int) []byte {
	b := make([]byte, 28+payload)
	b[0], b[8], b[9] = 0x45, 64, wire.ProtoUDP
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	copy(b[12:], []byte{192, 0, 2, 1, 198, 51, 100, 2})
	binary.BigEndian.PutUint16(b[20:], 4000)
	binary.BigEndian.PutUint16(b[22:], 53)
	binary.BigEndian.PutUint16(b[24:], uint16(8+payload))
	for i := range payload {
		b[28+i] = v
	}
	wire.CalcChecksums(b, 0)
	return b
}

func outbound() (a divertdrv.Address) {
	a.SetOutbound(true)
	a.SetChecksums(true)
	return a
}

// sums verifies a packet as a receiver would.
func sums(data []byte) (ip, transport wire.SumState) {
	var h wire.Headers
	wire.Parse(data, &h)
	return wire.Verify(data, &h)
}

func wantGood(t *testing.T, data []byte) {
	t.Helper()
	if ip, transport := sums(data); ip != wire.SumGood || transport != wire.SumGood {
		t.Errorf("checksums: IP %v, transport %v\n%x", ip, transport, data)
	}
	if n := int(binary.BigEndian.Uint16(data[2:])); n != len(data) {
		t.Errorf("IP length %d of %d bytes", n, len(data))
	}
}

func wantErr(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func mustBe(t *testing.T, what string, got, want uint64) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %d, want %d", what, got, want)
	}
}

// panics wants that f panics with a Misuse.
func panics(t *testing.T, what string, f func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if _, ok := recover().(divertdrv.Misuse); !ok {
			t.Errorf("%s did not panic with a Misuse", what)
		}
	}()
	f()
}

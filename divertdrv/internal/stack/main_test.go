package stack_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/internal/stack"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/internal/clock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a driver over one Stack that writes down what leaves. Its packets are small IPv4 datagrams with a number.
type rig struct {
	*stack.Stack
	t     testing.TB
	clock *clock.Virtual
	left  []int // numbers of the packets that the Sink took
	sink  func(a *divertdrv.Address, data []byte) error
	all   []*divertdrv.Handle
}

func (*rig) Name() string { return "rig" }

// newRig builds a Stack on a virtual clock; with changes its Config. At the end of the test conservation is checked.
func newRig(t testing.TB, change ...func(*stack.Config)) *rig {
	r := &rig{t: t, clock: clock.NewVirtual(time.Unix(1_000_000, 0))}
	c := stack.Config{
		Name: "rig", Clock: r.clock,
		Caps: divertdrv.Caps{Inject: true, InjectInbound: true, Modify: true, Grow: true, LossCounted: true, HoldMax: 64},
		Sink: func(a *divertdrv.Address, data []byte) error {
			if r.sink != nil {
				if err := r.sink(a, data); err != nil {
					return err
				}
			}
			r.left = append(r.left, number(data))
			return nil
		},
	}
	for _, f := range change {
		f(&c)
	}
	r.Stack = stack.New(c)
	t.Cleanup(r.conserved)
	return r
}

func (r *rig) conserved() {
	r.t.Helper()
	for _, h := range r.all {
		st := h.Stats()
		if err := st.Conserved(); err != nil {
			r.t.Errorf("handle %d: %v", h.Options().Priority, err)
		}
	}
}

func (r *rig) open(filter string, priority int16, flags divertdrv.Flags) *divertdrv.Handle {
	r.t.Helper()
	return r.openWith(filter, divertdrv.Options{Priority: priority, Flags: flags})
}

func (r *rig) openWith(filter string, o divertdrv.Options) *divertdrv.Handle {
	r.t.Helper()
	return r.openAt(filter, divertdrv.Network, o)
}

func (r *rig) openAt(filter string, l divertdrv.Layer, o divertdrv.Options) *divertdrv.Handle {
	r.t.Helper()
	o.Driver = r
	h, err := divertdrv.Open(filter, l, &o)
	if err != nil {
		r.t.Fatal(err)
	}
	r.all = append(r.all, h)
	r.t.Cleanup(func() { _ = h.Close() })
	return h
}

// packet is an outbound UDP datagram, or TCP header for odd numbers, that carries its number.
func packet(n int) []byte { return packetOf(n, 4) }

func packetOf(n, payload int) []byte {
	proto, header := byte(wire.ProtoUDP), wire.UDPHeaderLen
	if n%2 == 1 {
		proto, header = wire.ProtoTCP, wire.TCPHeaderLen
	}
	b := make([]byte, wire.IPv4HeaderLen+header+payload)
	b[0], b[8], b[9] = 0x45, 64, proto
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	binary.BigEndian.PutUint32(b[12:], uint32(n))
	copy(b[16:], []byte{192, 0, 2, 1})
	if proto == wire.ProtoTCP {
		b[32] = 5 << 4
	} else {
		binary.BigEndian.PutUint16(b[24:], uint16(header+payload))
	}
	wire.CalcChecksums(b, 0)
	return b
}

func number(data []byte) int { return int(binary.BigEndian.Uint32(data[12:])) }

func outbound() *divertdrv.Address {
	var a divertdrv.Address
	a.SetOutbound(true)
	a.SetChecksums(true)
	return &a
}

func (r *rig) enter(numbers ...int) {
	r.t.Helper()
	for _, n := range numbers {
		if err := r.Enter(outbound(), packet(n)); err != nil {
			r.t.Fatal(err)
		}
	}
}

func numbers(b *divertdrv.Batch) (out []int) {
	for _, p := range b.Packets() {
		out = append(out, number(p.Data))
	}
	return out
}

// recv receives one batch and wants these packets in it.
func (r *rig) recv(h *divertdrv.Handle, want ...int) *divertdrv.Batch {
	r.t.Helper()
	b := divertdrv.NewBatch(divertdrv.BatchMax, 1<<20)
	if err := h.Recv(b); err != nil {
		r.t.Fatal(err)
	}
	if got := numbers(b); !slices.Equal(got, want) {
		r.t.Fatalf("received %v, want %v", got, want)
	}
	return b
}

// complete marks all packets of b alike.
func (r *rig) complete(h *divertdrv.Handle, b *divertdrv.Batch, m divertdrv.Mark) {
	r.t.Helper()
	for i := range b.Packets() {
		b.Packets()[i].Set(m, 0)
	}
	r.completeAs(h, b)
}

// completeAs completes b as it is marked.
func (r *rig) completeAs(h *divertdrv.Handle, b *divertdrv.Batch) {
	r.t.Helper()
	if err := h.Complete(b); err != nil {
		r.t.Fatal(err)
	}
}

// pass receives one batch, wants these packets and passes them.
func (r *rig) pass(h *divertdrv.Handle, want ...int) {
	r.t.Helper()
	r.complete(h, r.recv(h, want...), divertdrv.Pass)
}

// ended wants that a Recv on h ends with this error.
func (r *rig) ended(h *divertdrv.Handle, want error) {
	r.t.Helper()
	b := divertdrv.NewBatch(1, 1<<16)
	if err := h.Recv(b); !errors.Is(err, want) {
		r.t.Fatalf("Recv: %v with %d packets, want %v", err, b.Len(), want)
	}
}

func (r *rig) hasLeft(want ...int) {
	r.t.Helper()
	if !slices.Equal(r.left, want) {
		r.t.Fatalf("left: %v, want %v", r.left, want)
	}
}

// list is a Source of packets 1, 2, … n.
type list struct {
	n, at int
	addr  divertdrv.Address
	end   error // at the end; nil: io.EOF
	wait  chan struct{}
}

func (l *list) Next() (*divertdrv.Address, []byte, error) {
	if l.wait != nil {
		<-l.wait
	}
	if l.at == l.n {
		if l.end != nil {
			return nil, nil, l.end
		}
		return nil, nil, io.EOF
	}
	l.at++
	l.addr.SetLayer(addr.Network, addr.EventPacket)
	l.addr.SetOutbound(true)
	l.addr.SetChecksums(true)
	return &l.addr, packet(l.at), nil
}

func withSource(n int, prompt bool) func(*stack.Config) {
	return func(c *stack.Config) { c.Source, c.Prompt = &list{n: n}, prompt }
}

func upTo(n int) (out []int) {
	for i := range n {
		out = append(out, i+1)
	}
	return out
}

func free(a *divertdrv.Address, data []byte) []divertdrv.Packet {
	return []divertdrv.Packet{*divertdrv.NewPacket(*a, data)}
}

func mustBe(t testing.TB, what string, got, want uint64) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %d, want %d", what, got, want)
	}
}

func portOf(port uint16) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, 9}), port)
}

var errFull = fmt.Errorf("the wire is cut: %w", divertdrv.ErrUnreachable)

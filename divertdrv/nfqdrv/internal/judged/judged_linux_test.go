package judged

import (
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"go.uber.org/goleak"

	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/internal/nettest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// loaded is a table and its program, alone.
type loaded struct {
	*Table
	t *testing.T
	p *ebpf.Program
}

func open(t *testing.T) *loaded {
	t.Helper()
	nettest.Need(t, nettest.Root)
	table, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.SocketFilter, Instructions: append(asm.Instructions{asm.Mov.Reg(asm.R6, asm.R1)}, table.Program()...), License: "GPL",
	})
	if err != nil {
		t.Fatalf("%+v", err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		if err := table.Close(); err != nil {
			t.Error(err)
		}
	})
	return &loaded{table, t, p}
}

// diverts runs the program on a packet, behind the link header that a test run asks for.
func (l *loaded) diverts(packet []byte) bool {
	l.t.Helper()
	ret, err := l.p.Run(&ebpf.RunOptions{Data: append(make([]byte, 14), packet...)})
	if err != nil {
		l.t.Fatal(err)
	}
	return ret == 1
}

// packet is one of few flows of few hosts, often odd.
func packet(r *rand.Rand) []byte {
	b := make([]byte, 120+r.IntN(4))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	protos := [...]byte{wire.ProtoTCP, wire.ProtoUDP, wire.ProtoTCP, wire.ProtoUDP, wire.ProtoICMP, 44, 0}
	off := 20
	if r.IntN(2) == 0 {
		b[0], b[9] = 0x45, protos[r.IntN(len(protos))]
		if r.IntN(4) == 0 {
			b[0], off = 0x47, 28
		}
		if r.IntN(4) != 0 {
			b[6], b[7] = b[6]&0x40, 0
		}
		copy(b[12:], []byte{10, 0, 0, byte(1 + r.IntN(2)), 10, 0, 0, byte(1 + r.IntN(2))})
		b[2], b[3] = byte(len(b)>>8), byte(len(b))
	} else {
		b[0], b[6], off = 0x60, protos[r.IntN(len(protos))], 40
		clear(b[8:40])
		b[8], b[24], b[23], b[39] = 0xfd, 0xfd, byte(1+r.IntN(2)), byte(1+r.IntN(2))
		n := len(b) - 40
		b[4], b[5] = byte(n>>8), byte(n)
	}
	for i := range 4 {
		b[off+i] = byte(r.IntN(2))
	}
	b[off+4], b[off+5], b[off+12] = 0, byte(len(b)-off), 5<<4
	if r.IntN(3) == 0 {
		b[off+13] = byte(wire.ACK)
	}
	return b[:20+r.IntN(len(b)-20)]
}

// The program and we come to the same place for every packet.
func TestPlaces(t *testing.T) {
	l := open(t)
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		b := packet(r)
		if b[0]>>4 == 6 && len(b) < wire.IPv6HeaderLen {
			continue // the filter matches no such packet
		}
		place := l.PlaceOf(b)
		before := l.read(place)
		if !l.diverts(b) {
			t.Fatalf("% x: not diverted", b)
		}
		if now := l.read(place); now.diverted != before.diverted+1 || now.completed != before.completed {
			t.Fatalf("% x: place %d had %+v and has %+v", b, place, before, now)
		}
	}
}

// A packet goes on exactly if its flow, as wire.FlowKey names it, is judged, it is whole, ends nothing, and nothing of it or its
// hosts' odd packets is under way.
func TestGoesOn(t *testing.T) {
	l := open(t)
	r := rand.New(rand.NewPCG(3, 4))
	judged := map[wire.FlowKey]bool{}
	passed, id := uint64(0), uint32(0)
	var out []uint32
	for range 30_000 {
		b := packet(r)
		if b[0]>>4 == 6 && len(b) < wire.IPv6HeaderLen {
			continue
		}
		var h wire.Headers
		wire.Parse(full(b), &h)
		k, _, _ := h.Flow(full(b))
		odd := l.hash(b[:min(len(b), int(h.HeaderLen))]) % Places // of the addresses alone
		whole := l.PlaceOf(b) != uint16(odd)
		tcp := whole && k.Proto() == wire.ProtoTCP
		ends := tcp && b[int(h.TransportOff)+13]&endFlags != 0
		quiet := func(p uint16) bool { c := l.read(p); return c.diverted == c.completed }
		goesOn := whole && judged[k] && !ends && quiet(l.PlaceOf(b)) && quiet(uint16(odd))
		if whole && ends {
			delete(judged, k)
		}
		if got := l.diverts(b); got == goesOn {
			t.Fatalf("% x of %+v: diverted %v, want %v", b, k, got, !goesOn)
		}
		if goesOn {
			passed++
		} else {
			id++
			l.Note(id, b)
			out = append(out, id)
		}
		switch p := k.Proto(); {
		case r.IntN(4) == 0 && whole && (p == wire.ProtoTCP || p == wire.ProtoUDP):
			if err := l.Judge(k, l.Era()); err != nil {
				t.Fatal(err)
			}
			judged[k] = true
		case r.IntN(16) == 0:
			if err := l.Recall(k); err != nil {
				t.Fatal(err)
			}
			delete(judged, k)
		case r.IntN(2000) == 0:
			old := l.Era()
			if err := l.RecallAll(); err != nil {
				t.Fatal(err)
			}
			clear(judged)
			if err := l.Judge(k, old); p == wire.ProtoTCP && err != nil { // without effect
				t.Fatal(err)
			}
		}
		if len(out) > 0 && r.IntN(2) == 0 {
			r.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
			n := 1 + r.IntN(len(out))
			l.Done(out[:n])
			out = out[n:]
		}
	}
	if s := l.Stats(); s.Passed != passed || passed < 1000 || s.Refused != 0 {
		t.Errorf("%+v, want %d passed, and some thousands", s, passed)
	}
}

func datagram() []byte {
	b := make([]byte, 60)
	b[0], b[3], b[9] = 0x45, 60, wire.ProtoUDP
	b[12], b[16], b[21], b[23], b[25] = 10, 10, 7, 9, 40
	return b
}

// full is a packet as long as its header says; what a program sees of the rest does not matter to a flow.
func full(b []byte) []byte {
	out := make([]byte, 128)
	copy(out, b)
	n := int(out[2])<<8 | int(out[3])
	if out[0]>>4 == 6 {
		n = wire.IPv6HeaderLen + (int(out[4])<<8 | int(out[5]))
	}
	return out[:min(n, len(out))]
}

// A packet that stays out while the ring goes round is found.
func TestLedgerGoesRound(t *testing.T) {
	var l ledger
	l.init()
	l.add(5, 77)
	for id := uint32(6); id < 6+3*ringLen; id++ {
		l.add(id, uint16(id%Places))
		if p, ok := l.take(id); !ok || p != uint16(id%Places) {
			t.Fatalf("%d: %d, %v", id, p, ok)
		}
	}
	if p, ok := l.take(5); !ok || p != 77 || len(l.aside) != 0 {
		t.Errorf("%d, %v, and %d aside", p, ok, len(l.aside))
	}
	if _, ok := l.take(5); ok {
		t.Error("taken twice")
	}
}

// A place that lost packets opens again, and not before what was on its way has gone on.
func TestMend(t *testing.T) {
	l := open(t)
	b := datagram()
	p := l.PlaceOf(b)
	for id := range uint32(10) {
		l.diverts(b)
		if id < 7 { // the others are lost
			l.Note(id+1, b)
		}
	}
	l.Done([]uint32{1, 2, 3})
	if l.Stuck() || !l.Stuck() {
		t.Error("a place that rests with packets under way is stuck at the second look")
	}
	l.Suspect(func() (uint32, bool) { return 7, true })
	l.Mend()
	if c := l.read(p); c != (count{10, 3}) {
		t.Errorf("%+v while four are out", c)
	}
	l.Done([]uint32{4, 5, 6, 7})
	if c := l.read(p); c != (count{10, 10}) {
		t.Errorf("%+v, want it mended", c)
	}
	if l.Stuck(); l.Stuck() {
		t.Error("still stuck")
	}
}

// The table is bounded, says so, and has room again when flows of an era that is over go.
func TestFull(t *testing.T) {
	l := open(t)
	k := func(n uint64) (k wire.FlowKey) {
		k.Set(wire.Endpoint{Lo: n, Port: 1}, wire.Endpoint{Lo: 1 << 40, Port: 2}, wire.ProtoUDP, 6)
		return k
	}
	var e entry
	e.era = l.Era()
	for n := range uint64(FlowsMax) {
		key := k(n)
		if err := l.flows.Put(unsafe.Pointer(&key), unsafe.Pointer(&e)); err != nil {
			t.Fatal(n, err)
		}
	}
	if err := l.Judge(k(FlowsMax), l.Era()); err == nil || l.Stats().Refused != 1 {
		t.Errorf("%v, %+v", err, l.Stats())
	}
	if err := l.RecallAll(); err != nil {
		t.Fatal(err)
	}
	if err := l.Judge(k(FlowsMax), l.Era()); err != nil {
		t.Error(err)
	}
}

// Flows that are silent for two sweeps are forgotten; the others stay.
func TestSweep(t *testing.T) {
	l := open(t)
	b := datagram()
	var h wire.Headers
	wire.Parse(b, &h)
	k, _, _ := h.Flow(b)
	var silent wire.FlowKey
	silent.Set(wire.Endpoint{Lo: 1}, wire.Endpoint{Lo: 2}, wire.ProtoUDP, 4)
	for _, k := range []wire.FlowKey{k, silent} {
		if err := l.Judge(k, l.Era()); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		if l.diverts(b) {
			t.Fatal("the flow is not judged any more")
		}
		l.sweep()
	}
	var e entry
	if err := l.flows.Lookup(unsafe.Pointer(&silent), unsafe.Pointer(&e)); err == nil {
		t.Error("a silent flow is still judged")
	}
}

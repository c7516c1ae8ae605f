package inject_test

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/frag"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/inject"
	"github.com/weirnet/weir/inject/craft"
)

const mtu = 600

// grow sends packets through a handle whose program makes some longer, and completes them in one batch.
func (r *rig) grow(t testing.TB, packets [][]byte, by func(i int) int) {
	t.Helper()
	for _, p := range packets {
		if err := r.sim.Send(p); err != nil {
			t.Fatal(err)
		}
	}
	b := divertdrv.NewBatch(divertdrv.BatchMax, 1<<20)
	for done := 0; done < len(packets); {
		if err := r.h.Recv(b); err != nil {
			t.Fatal(err)
		}
		for i := range b.Packets() {
			p := &b.Packets()[i]
			p.Set(divertdrv.Pass, 0)
			was := len(p.Data)
			if n := by(done + i); n > 0 {
				if err := p.Resize(was + n); err != nil {
					t.Fatal(err)
				}
				for k := range p.Data[was:] {
					p.Data[was+k] = byte(k * 3)
				}
			}
		}
		done += b.Len()
		if err := r.j.Complete(b); err != nil {
			t.Fatal(err)
		}
	}
}

func numbered(proto uint8, payload, number int) []byte {
	b := segment(0, payload, 0, proto)
	b[40], b[41] = byte(number>>8), byte(number)
	if proto == wire.ProtoTCP {
		b[27] = byte(number) // of the sequence number
	}
	wire.CalcChecksums(b, 0)
	return b
}

func everyFit(t testing.TB, packets []seen) {
	t.Helper()
	for i, p := range packets {
		var h wire.Headers
		wire.Parse(p.data, &h)
		ip, sum := wire.Verify(p.data, &h)
		if len(p.data) > mtu || h.Truncated || ip != wire.SumGood || sum == wire.SumBad {
			t.Errorf("packet %d: %d bytes, checksums %v and %v", i, len(p.data), ip, sum)
		}
	}
}

// A TCP segment that grows goes out as segments, which together are what it became.
func TestGrownTCPGoesOutInSegments(t *testing.T) {
	r := newRigWith(t, simdrv.Config{MTU: mtu}, inject.Config{})
	r.grow(t, [][]byte{numbered(wire.ProtoTCP, 500, 1)}, func(int) int { return 700 })
	everyFit(t, r.wire)
	var payload []byte
	for _, p := range r.wire {
		var h wire.Headers
		wire.Parse(p.data, &h)
		payload = append(payload, h.Payload(p.data)...)
	}
	if len(r.wire) != 3 || len(payload) != 1200 || payload[500] != 0 || payload[501] != 3 {
		t.Errorf("%d segments, %d bytes", len(r.wire), len(payload))
	}
	s := r.h.Stats()
	if s.Dropped[reason.Fragmented] != 1 || s.Injected != 3 || r.j.Stats().Cut != 1 {
		t.Errorf("%+v", s)
	}
	r.close(t)
}

// The segments of a packet that was corrupt are as wrong as it was.
func TestCuttingDoesNotLaunder(t *testing.T) {
	r := newRigWith(t, simdrv.Config{MTU: mtu}, inject.Config{})
	corrupt := numbered(wire.ProtoTCP, 900, 1)
	corrupt[36] ^= 0x12
	var h wire.Headers
	wire.Parse(corrupt, &h)
	was := wire.Judge(corrupt, &h)
	if err := r.j.Inject(nil, inject.Injection{Packet: divertdrv.NewPacket(final(), corrupt)}); err != nil {
		t.Fatal(err)
	}
	for _, p := range r.wire {
		wire.Parse(p.data, &h)
		if is := wire.Judge(p.data, &h); is != was || was.Transport == 0 {
			t.Errorf("wrong by %#x, was %#x", is, was)
		}
	}
	if len(r.wire) != 2 {
		t.Errorf("%d segments", len(r.wire))
	}
	r.close(t)
}

// What is cut keeps its place in its flow, whatever else is in the batch; other flows are not held up.
func TestOrderIsKeptBehindWhatIsCut(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		r := newRigWith(t, simdrv.Config{MTU: mtu}, inject.Config{})
		n := rapid.IntRange(1, 20).Draw(rt, "packets")
		grows := rapid.SliceOfN(rapid.SampledFrom([]int{0, 0, 10, 400}), n, n).Draw(rt, "grow")
		var packets [][]byte
		for i := range n {
			p := numbered(wire.ProtoUDP, 300, i)
			if rapid.Bool().Draw(rt, "other flow") {
				p[20] ^= 1
				wire.CalcChecksums(p, 0)
			}
			packets = append(packets, p)
		}
		r.grow(t, packets, func(i int) int { return grows[i] })
		everyFit(t, r.wire)
		last := map[byte]int{}
		count := 0
		for _, p := range r.wire {
			var h wire.Headers
			wire.Parse(p.data, &h)
			if h.FragOff != 0 {
				continue // numbers are in first fragments
			}
			count++
			number, flow := int(p.data[40])<<8|int(p.data[41]), p.data[20]
			if before, ok := last[flow]; ok && number <= before {
				rt.Fatalf("flow %d: %d comes after %d", flow, number, before)
			}
			last[flow] = number
		}
		if count != n {
			rt.Fatalf("%d of %d packets came out", count, n)
		}
		r.close(t)
	})
}

// Fragments are joined by the receiver to what the packet became.
func TestGrownUDPGoesOutInFragments(t *testing.T) {
	r := newRigWith(t, simdrv.Config{MTU: mtu}, inject.Config{})
	r.grow(t, [][]byte{numbered(wire.ProtoUDP, 500, 1)}, func(int) int { return 800 })
	everyFit(t, r.wire)
	again := frag.NewReassembler(frag.Config{})
	var whole []byte
	for _, p := range r.wire {
		var h wire.Headers
		wire.Parse(p.data, &h)
		if res := again.Add(p.data, &h, 0, 0); res.Outcome == frag.Joined {
			whole = bytes.Clone(res.Whole)
		}
	}
	var h wire.Headers
	wire.Parse(whole, &h)
	if ip, udp := wire.Verify(whole, &h); len(whole) != 20+20+500+800 || ip != wire.SumGood || udp != wire.SumGood {
		t.Errorf("joined to %d bytes, IP %v, UDP %v", len(whole), ip, udp)
	}
	r.close(t)
}

func TestClamp(t *testing.T) {
	r := newRigWith(t, simdrv.Config{MTU: mtu}, inject.Config{TooBig: inject.Clamp})
	tcp := numbered(wire.ProtoTCP, 500, 1)
	tcp[33] = 0x19 // ACK, PSH, FIN
	wire.CalcChecksums(tcp, 0)
	r.grow(t, [][]byte{tcp, numbered(wire.ProtoUDP, 500, 2)}, func(int) int { return 200 })
	everyFit(t, r.wire)
	if len(r.wire) != 1 || len(r.wire[0].data) != mtu || r.wire[0].data[33] != 0x10 || !bytes.Equal(r.wire[0].data[40:540], tcp[40:540]) {
		t.Errorf("%d packets", len(r.wire))
	}
	if s := r.h.Stats(); s.Passed != 1 || s.Dropped[reason.TooBig] != 1 || r.j.Stats().Clamped != 1 {
		t.Errorf("%+v", s)
	}
	r.close(t)
}

// The sender is told the MTU, so often as the limiter allows.
func TestAnswer(t *testing.T) {
	r := newRigWith(t, simdrv.Config{MTU: mtu}, inject.Config{TooBig: inject.Answer, Limiter: craft.NewLimiter(1, 2)})
	var packets [][]byte
	for i := range 3 {
		packets = append(packets, numbered(wire.ProtoUDP, 500, i))
	}
	r.grow(t, packets, func(int) int { return 200 })
	if len(r.wire) != 0 || len(r.host) != 2 {
		t.Fatalf("%d packets on the wire, the host gets %d answers", len(r.wire), len(r.host))
	}
	for _, p := range r.host {
		var h wire.Headers
		wire.Parse(p.data, &h)
		m := h.ICMP(p.data)
		if m == nil || m.Code() != wire.ICMPFragNeeded || m.NextHopMTU() != mtu {
			t.Errorf("% x is no Fragmentation Needed", p.data)
		}
	}
	if s := r.h.Stats(); s.Dropped[reason.TooBig] != 3 || r.j.Stats().Answered != 2 {
		t.Errorf("%+v", s)
	}
	r.close(t)
}

func TestInjectionOverTheMTU(t *testing.T) {
	df := numbered(wire.ProtoUDP, 900, 1)
	df[6] |= 0x40
	wire.CalcChecksums(df, 0)
	for _, c := range []struct {
		name   string
		remedy inject.TooBig
		packet []byte
		want   error
		out    int
	}{
		{"fragment, UDP", inject.Fragment, numbered(wire.ProtoUDP, 900, 1), nil, 2},
		{"fragment, UDP with DF", inject.Fragment, df, divertdrv.ErrTooBig, 0},
		{"fragment, TCP", inject.Fragment, numbered(wire.ProtoTCP, 900, 1), nil, 2},
		{"clamp, TCP", inject.Clamp, numbered(wire.ProtoTCP, 900, 1), nil, 1},
		{"clamp, UDP", inject.Clamp, numbered(wire.ProtoUDP, 900, 1), divertdrv.ErrTooBig, 0},
		{"answer", inject.Answer, numbered(wire.ProtoUDP, 900, 1), divertdrv.ErrTooBig, 0},
		{"fits", inject.Fragment, numbered(wire.ProtoUDP, 500, 1), nil, 1},
	} {
		r := newRigWith(t, simdrv.Config{MTU: mtu}, inject.Config{TooBig: c.remedy})
		done := 0
		err := r.j.Inject(nil, inject.Injection{
			Packet: divertdrv.NewPacket(final(), slices.Clone(c.packet)), Path: inject.Send, Done: func(error) { done++ },
		})
		if !errors.Is(err, c.want) || len(r.wire) != c.out || (done == 1) != (err == nil) {
			t.Errorf("%s: %v, %d packets, done %d times; want %v, %d", c.name, err, len(r.wire), done, c.want, c.out)
		}
		everyFit(t, r.wire)
		r.close(t)
	}
}

// What came long, as a super-packet does, and what goes to this host, is nobody's to cut.
func TestWhatDidNotGrowIsLeftAlone(t *testing.T) {
	r := newRigWith(t, simdrv.Config{MTU: mtu}, inject.Config{})
	super := numbered(wire.ProtoTCP, 1400, 1)
	if err := r.sim.Send(super); err != nil {
		t.Fatal(err)
	}
	b := divertdrv.NewBatch(1, divertdrv.MTUMax)
	if err := r.h.Recv(b); err != nil {
		t.Fatal(err)
	}
	b.Packets()[0].Edit()[8] = 9
	b.Packets()[0].Set(divertdrv.Pass, 0)
	if err := r.j.Complete(b); err != nil {
		t.Fatal(err)
	}
	if err := r.j.Inject(nil, inject.Injection{Packet: divertdrv.NewPacket(final(), numbered(wire.ProtoUDP, 1400, 2)), Path: inject.Receive}); err != nil {
		t.Fatal(err)
	}
	if s := r.j.Stats(); s.Cut != 0 || len(r.host) != 1 || len(r.host[0].data) != 1440 {
		t.Errorf("%+v", s)
	}
	r.close(t)
}

func TestInjectionAllocatesNothing(t *testing.T) {
	for _, off := range []int{0, 2} {
		sim := simdrv.New(simdrv.Config{HeaderAlign: 8})
		h, err := divertdrv.Open("false", divertdrv.Network, &divertdrv.Options{Driver: sim})
		if err != nil {
			t.Fatal(err)
		}
		j, err := inject.New(h, inject.Config{Rules: inject.Rules{Misaligned: inject.Enforce}})
		if err != nil {
			t.Fatal(err)
		}
		data := segment(0, 400, off, wire.ProtoTCP)
		p := divertdrv.NewPacket(final(), data)
		n := testing.AllocsPerRun(100, func() {
			p.Data = data
			data[27]++ // another segment each time, or it would be a loop
			if err := j.Inject(nil, inject.Injection{Packet: p}); err != nil {
				t.Fatal(err)
			}
		})
		if n != 0 {
			t.Errorf("offset %d: %v allocations", off, n)
		}
		closeAll(t, j, h)
		sim.Close()
	}
}

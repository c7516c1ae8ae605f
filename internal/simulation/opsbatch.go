package simulation

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/reason"
)

// batchesMax bounds the batches of a handle that are out at once.
const batchesMax = 3

// recvBatch reads a batch, where there is one or an end, and judges its packets.
func (r *runner) recvBatch(d *rand.Rand) {
	h := r.mostly(d)
	if h == nil || len(h.batches) >= batchesMax {
		return
	}
	waits, want := r.waits(h)
	if !h.closed && !r.dead && h.real.ready != nil && h.real.ready() == waits {
		r.fail("handle %d: a Recv would wait: %v, want %v (%d packets are queued)", h.number, !waits, waits, len(h.queue))
	}
	if waits || r.result.Err != nil {
		return
	}
	packets, size := 1+d.IntN(12), []int{1 << 16, 1 << 16, 1 << 16, 300, 64, 8}[d.IntN(6)]
	b := divertdrv.NewBatch(packets, size)
	err := h.real.Recv(b)
	if r.learn(err); r.dead && !h.closed {
		want = divertdrv.ErrNoDriver
	}
	r.note("  handle %d: %d packets (%v)", h.number, b.Len(), err)
	if r.agree("recv", err, want); err != nil || r.result.Err != nil {
		return
	}
	x := r.recv(h, packets, size)
	x.real = b
	if r.compare(x); r.result.Err == nil {
		r.judge(d, h, x)
	}
}

// compare looks whether a batch has what it should have.
func (r *runner) compare(x *batch) {
	got := x.real.Packets()
	if len(got) != len(x.packets) {
		r.fail("received %d packets, want %d", len(got), len(x.packets))
		return
	}
	for i := range got {
		want := &x.packets[i]
		a := timeless(got[i].Addr)
		if !bytes.Equal(got[i].Data, want.data) || a != want.addr {
			r.fail("received, as packet %d: %s, %s\n  want: %s, %s", i, describe(&a), title(got[i].Data), describe(&want.addr), title(want.data))
			return
		}
		r.digest(&a, got[i].Data)
		if want.cut {
			r.result.Counts.Cut++
		}
		if a.Layer() > divertdrv.NetworkForward {
			r.result.Counts.Events++
		}
	}
}

// judge says of each packet of a batch what is to become of it.
func (r *runner) judge(d *rand.Rand, h *handle, x *batch) {
	mostlyPass := d.IntN(3) > 0
	for i := range x.packets {
		p := &x.real.Packets()[i]
		if d.IntN(5) == 0 {
			r.edit(d, p, &x.packets[i].received)
		}
		switch n := d.IntN(10); {
		case n == 0: // not a word: it is dropped
		case n == 1:
			mark(p, &x.packets[i], divertdrv.Drop, reason.Filter)
		case n < 4:
			r.holdOne(d, h, x, i)
		case n < 7 || mostlyPass:
			mark(p, &x.packets[i], divertdrv.Pass, 0)
		default:
			mark(p, &x.packets[i], divertdrv.Drop, reason.Callout)
		}
	}
}

func mark(p *divertdrv.Packet, x *inBatch, m divertdrv.Mark, why divertdrv.Cause) {
	p.Set(m, why)
	x.mark, x.why = m, why
}

// edit changes a packet of ours, by word or by length, or turns it around.
func (r *runner) edit(d *rand.Rand, p *divertdrv.Packet, x *received) {
	if !x.clean || x.addr.Layer() > divertdrv.NetworkForward || isPiece(x.data) {
		return
	}
	switch d.IntN(4) {
	case 0: // in place
		p.Edit()[len(p.Data)-1] ^= 0x55
		x.data = slices.Clone(x.data)
		x.data[len(x.data)-1] ^= 0x55
		x.repair()
	case 1: // its end goes
		const n = 4
		if transport, _, udp := layout(x.data); len(x.data)-n < transport+8 || !udp && len(x.data)-n < transport+20 {
			return
		}
		p.Data = p.Data[:len(p.Data)-n]
		x.data = slices.Clone(x.data[:len(x.data)-n])
		x.repair()
	case 2:
		r.replace(d, p, x)
	default:
		out := x.addr.Outbound()
		p.Addr.SetOutbound(!out)
		x.addr.SetOutbound(!out)
	}
}

// replace makes another packet of one, longer or shorter, whose checksums are nonsense.
func (r *runner) replace(d *rand.Rand, p *divertdrv.Packet, x *received) {
	s := outward(d, r.next())
	if !x.addr.Outbound() {
		s = s.swap()
	}
	data := s.bytes()
	old := len(p.Data)
	if err := p.Resize(len(data)); err != nil {
		if !errors.Is(err, divertdrv.ErrNoRoom) || len(data) <= old || len(p.Data) != old {
			r.fail("resize from %d to %d bytes: %v, and it has %d", old, len(data), err, len(p.Data))
		}
		return
	}
	r.result.Counts.Resized++
	x.data = slices.Clone(data)
	x.repair()
	spoil(data)
	copy(p.Edit(), data)
}

// repair is what follows from a change: checksums that are right, and final, also where they were left to others.
func (x *received) repair() {
	repair(x.data)
	_, _, udp := layout(x.data)
	x.addr.SetIPChecksum(x.addr.IPChecksum() || x.data[0]>>4 == 4)
	x.addr.SetTCPChecksum(x.addr.TCPChecksum() || !udp)
	x.addr.SetUDPChecksum(x.addr.UDPChecksum() || udp)
}

func isPiece(b []byte) bool { return b[0]>>4 == 4 && (b[6]&0x3f != 0 || b[7] != 0) }

// holdOne takes a packet out of its batch.
func (r *runner) holdOne(d *rand.Rand, h *handle, x *batch, i int) {
	byDefault := divertdrv.Mark(d.IntN(2))
	deadline := []time.Duration{0, time.Millisecond, 50 * time.Millisecond, 50 * time.Millisecond, 2 * time.Second}[d.IntN(5)]
	hd, err := x.real.Hold(i, deadline, byDefault)
	want, wantErr := r.hold(h, x, i, r.setup.HoldMax, deadline, byDefault)
	if r.agree("hold", err, wantErr); err != nil || r.result.Err != nil {
		return
	}
	r.holds++
	want.number, want.real = r.holds, hd
	r.note("  handle %d: hold %d for %v, then %v: %s", h.number, r.holds, deadline, byDefault, title(hd.Data))
	hd.AfterRelease(func() { r.expired(want) })
}

// expired is told of each hold that ends; those that were released are known by then.
func (r *runner) expired(x *held) {
	if x.done {
		return
	}
	why := reason.Abandoned
	if !x.owner.closed {
		why = reason.Expired
		r.result.Counts.Expired++
		if !x.deadline.Equal(r.now()) {
			r.fail("hold %d ended at %v, its deadline is %v", x.number, r.now().Sub(start), x.deadline.Sub(start))
		}
	}
	r.note("  hold %d ends: %v", x.number, why)
	r.ends(x, x.byDefault, why, r.tap.err)
}

// ends tells the model of a hold that is over, and compares what the driver said.
func (r *runner) ends(x *held, m divertdrv.Mark, why divertdrv.Cause, err error) {
	r.learn(err)
	fault := isFault(err) && !errors.Is(err, divertdrv.ErrNoDriver)
	if fault {
		r.fault(1)
	}
	r.agree("release", err, r.release(x, m, why, fault))
}

// releaseHeld releases a packet, perhaps changed, and once only.
func (r *runner) releaseHeld(d *rand.Rand) {
	var all []*held
	for _, h := range r.handles {
		all = append(all, h.held...)
	}
	x := pick(d, all, func(*held) bool { return true })
	if x == nil {
		return
	}
	if d.IntN(4) == 0 {
		r.edit(d, &x.real.Packet, &x.received)
	}
	m, why := divertdrv.Mark(min(1, d.IntN(4))), reason.Callout
	r.note("  hold %d of handle %d: %v", x.number, x.owner.number, m)
	x.done = true
	r.ends(x, m, why, x.real.Release(m, why))
	r.agree("release again", x.real.Release(m, why), divertdrv.ErrReleased)
}

// completeBatch completes one of the batches that are out, in any order.
func (r *runner) completeBatch(d *rand.Rand) {
	h := pick(d, r.handles, func(h *handle) bool { return len(h.batches) > 0 })
	if h != nil {
		r.completeOne(h, h.batches[d.IntN(len(h.batches))])
	}
}

func (r *runner) completeOne(h *handle, x *batch) {
	r.tap.refused = make([]bool, len(x.packets))
	err := h.real.Complete(x.real)
	r.learn(err)
	r.note("  handle %d: %d packets (%v)", h.number, len(x.packets), err)
	if !r.dead {
		n := 0
		for _, f := range r.tap.refused {
			if f {
				n++
			}
		}
		r.fault(n)
	}
	r.agree("complete", err, r.complete(h, x, r.tap.refused))
}

package divertdrv

import (
	"sync/atomic"
	"time"

	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/internal/clock"
)

// Held is a packet that was taken out of its batch. Its bytes are the handle's, and it may be changed until it is released, by
// one goroutine at a time; a deadline must then be long enough, since it takes the packet as it is. It must not be used after Release.
type Held struct {
	Packet

	h         *Handle
	token     uint64
	byDefault Mark
	released  atomic.Bool
	buf       []byte

	// Guarded by h.mu.
	timer      clock.Timer
	after      func()
	done       bool
	next, prev *Held // in the handle's list, oldest first
}

// Release completes the packet: exactly once. ErrReleased: it was released before, by whomever, or its deadline has passed.
// An error of the driver means that the packet did not go on; it counts as dropped.
func (hd *Held) Release(m Mark, why Cause) error {
	if !hd.released.CompareAndSwap(false, true) {
		return ErrReleased
	}
	m &= Pass
	if m == Pass {
		hd.settle(false)
	}
	err := hd.h.conn.Release(hd.token, m, &hd.Packet)
	if m == Pass && err != nil {
		m, why = Drop, CauseOf(err)
	}
	if after := hd.h.unhold(hd, m, why); after != nil {
		after()
	}
	return hd.h.opError("release", err)
}

// AfterRelease has f called once the packet was completed, by whomever: in the goroutine that releases it, with no lock held. If
// it was completed already, f is called at once. Only the last f counts.
func (hd *Held) AfterRelease(f func()) {
	hd.h.mu.Lock()
	done := hd.done
	hd.after = f
	hd.h.mu.Unlock()
	if done {
		f()
	}
}

// holdPool keeps the buffers of held packets and their list.
type holdPool struct {
	oldest, newest *Held
	buffers        [][]byte
}

// Most packets fit into one Ethernet frame: those share buffers. Larger ones have their own, which is not kept.
const (
	heldBuffer     = 2048
	heldBuffersMax = 256
)

func (h *Handle) hold(b *Batch, i int, deadline time.Duration, byDefault Mark) (*Held, error) {
	p, s := &b.packets[i], &b.slots[i]
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed.Load() {
		return nil, ErrClosed
	}
	if h.stats.Held >= uint64(h.caps.HoldMax) {
		return nil, ErrHoldFull
	}
	hd := &Held{h: h, token: s.token, byDefault: byDefault & Pass}
	hd.buf = append(h.pool.take(len(p.Data)), p.Data...)
	a := *p.Addr
	hd.Packet = Packet{Addr: &a, Data: hd.buf, free: &loose{note: s.note}}
	hd.free.note.parsed = false
	h.pool.push(hd)
	h.stats.InBatch--
	h.stats.Held++
	if deadline > 0 {
		hd.timer = h.clock.AfterFunc(deadline, func() { _ = hd.Release(hd.byDefault, reason.Expired) })
	}
	return hd, nil
}

// unhold books what became of a held packet and takes its memory back. It returns who wants to know.
func (h *Handle) unhold(hd *Held, m Mark, why Cause) (after func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if hd.timer != nil {
		hd.timer.Stop()
	}
	h.pool.remove(hd)
	h.pool.give(hd.buf)
	hd.buf, hd.Data = nil, nil
	h.stats.Held--
	if m == Pass {
		h.stats.Passed++
	} else {
		h.stats.Dropped[why%reason.Max]++
	}
	h.noneHeld.Broadcast()
	hd.done = true
	return hd.after
}

// releaseAll gives every held packet its default, oldest first, and waits for those that others are releasing.
func (h *Handle) releaseAll(why Cause) {
	for hd := h.takeOldest(); hd != nil; hd = h.takeOldest() {
		_ = hd.Release(hd.byDefault, why)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for h.stats.Held > 0 {
		h.noneHeld.Wait()
	}
}

func (h *Handle) takeOldest() *Held {
	h.mu.Lock()
	defer h.mu.Unlock()
	hd := h.pool.oldest
	if hd != nil {
		h.pool.remove(hd)
	}
	return hd
}

func (p *holdPool) take(n int) []byte {
	if n > heldBuffer {
		return make([]byte, 0, n)
	}
	if last := len(p.buffers) - 1; last >= 0 {
		buf := p.buffers[last]
		p.buffers = p.buffers[:last]
		return buf[:0]
	}
	return make([]byte, 0, heldBuffer)
}

func (p *holdPool) push(hd *Held) {
	hd.prev = p.newest
	if p.newest == nil {
		p.oldest = hd
	} else {
		p.newest.next = hd
	}
	p.newest = hd
}

// remove takes hd off the list if it is on it.
func (p *holdPool) remove(hd *Held) {
	if p.oldest != hd && hd.prev == nil {
		return
	}
	if hd.prev == nil {
		p.oldest = hd.next
	} else {
		hd.prev.next = hd.next
	}
	if hd.next == nil {
		p.newest = hd.prev
	} else {
		hd.next.prev = hd.prev
	}
	hd.prev, hd.next = nil, nil
}

func (p *holdPool) give(buf []byte) {
	if cap(buf) == heldBuffer && len(p.buffers) < heldBuffersMax {
		p.buffers = append(p.buffers, buf)
	}
}

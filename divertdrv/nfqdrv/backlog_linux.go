package nfqdrv

import (
	"sync/atomic"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/reason"
)

// overhead is what the driver's own header adds to each packet in the account of QueueSize (WinDivert 2.2 on x64).
const overhead = 63

// backlog is the part of a handle's queue that was read from the kernel already, because nobody else read it in time, and that
// obeys the queue's three limits as WinDivert says: too many packets or bytes shed the oldest, and what waited too long goes when
// somebody looks (windivert.html, WinDivertSetParam).
type backlog struct {
	ring
	size  uint64           // accounted bytes
	limit [3]atomic.Uint64 // by Param: QueueLength, QueueTime (milliseconds), QueueSize

	overload divertdrv.Overload
	// lose ends a packet that was shed, and passBy one that goes on past the handle.
	lose   func(t token, why divertdrv.Cause)
	passBy func(t token)
}

func (b *backlog) init(o divertdrv.Overload) {
	b.overload = o
	for p := range b.limit {
		_, _, def, _ := addr.Param(p).Range()
		b.limit[p].Store(def)
	}
}

// admit takes a copy of a packet in, or makes it or the oldest go.
func (b *backlog) admit(a *divertdrv.Address, data []byte, now int64, t token) {
	b.expire(now)
	account := uint64(len(data) + overhead)
	for {
		why, over := b.over(account)
		if !over {
			break
		}
		never := account > b.limit[addr.QueueSize].Load() // it would not fit into an empty queue
		switch {
		case b.overload == divertdrv.OverloadOpen:
			b.passBy(t)
			return
		case b.overload == divertdrv.OverloadClosed, never, b.n == 0:
			b.lose(t, why)
			return
		}
		b.lose(b.oldest().token, why)
		b.remove()
	}
	b.push(a, data, now, t)
	b.size += account
}

// over says whether one more packet is too much, and by which limit.
func (b *backlog) over(account uint64) (why divertdrv.Cause, yes bool) {
	switch {
	case uint64(b.n)+1 > b.limit[addr.QueueLength].Load():
		return reason.QueueLength, true
	case b.size+account > b.limit[addr.QueueSize].Load():
		return reason.QueueSize, true
	}
	return 0, false
}

// expire sheds what has waited too long.
func (b *backlog) expire(now int64) {
	for b.n > 0 {
		e := b.oldest()
		if now-e.since < int64(b.limit[addr.QueueTime].Load())*1e6 {
			return
		}
		b.lose(e.token, reason.QueueTime)
		b.remove()
	}
}

// remove takes the oldest packet out.
func (b *backlog) remove() {
	b.size -= uint64(b.oldest().n + overhead)
	b.pop()
}

// param reads a limit, or the version of WinDivert whose semantics this is.
func (b *backlog) param(p divertdrv.Param) (uint64, error) {
	switch {
	case p == addr.VersionMajor, p == addr.VersionMinor:
		return 2, nil
	case int(p) < len(b.limit):
		return b.limit[p].Load(), nil
	}
	return 0, divertdrv.ErrUnsupported
}

// setParam sets a limit.
func (b *backlog) setParam(p divertdrv.Param, v uint64) error {
	lo, hi, _, ok := p.Range()
	if !ok || v < lo || v > hi {
		return divertdrv.ErrInvalid
	}
	b.limit[p].Store(v)
	return nil
}

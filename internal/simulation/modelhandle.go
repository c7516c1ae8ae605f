package simulation

import (
	"slices"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/divertdrv/wire"
)

// waits says whether a Recv would find nothing now, and would have to wait; err is what it returns if not packets. Having said
// once that nothing can come any more, a handle takes nothing any more.
func (m *model) waits(h *handle) (waits bool, err error) {
	switch {
	case h.closed:
		return false, divertdrv.ErrClosed
	case m.dead:
		return false, divertdrv.ErrNoDriver
	case h.is(divertdrv.SendOnly):
		return false, divertdrv.ErrUnsupported
	}
	h.expire(m.now())
	switch {
	case len(h.queue) > 0:
		return false, nil
	case h.gone:
		return false, divertdrv.ErrClosed
	case h.recvShut || m.ended && !m.reachable(h):
		h.recvShut = true
		return false, divertdrv.ErrShutdown
	}
	return true, nil
}

// reachable says that something waits above h, or is in somebody's hands there, and might still come to it.
func (m *model) reachable(h *handle) bool {
	for _, o := range m.handles {
		out := len(o.held)
		for _, b := range o.batches {
			for i := range b.packets {
				if !b.packets[i].held {
					out++
				}
			}
		}
		leads := h.ofEvents() ||
			o.layer == h.layer && (o.above(h) || o.is(divertdrv.Fragments) && !h.is(divertdrv.Fragments))
		if !o.gone && !o.ofEvents() && !o.is(divertdrv.Sniff) && len(o.queue)+out > 0 && leads {
			return true
		}
	}
	return false
}

// recv reads a batch of at most so many packets, into so many bytes, each packet at an address that 8 divides. One that is
// larger than all of it is cut.
func (m *model) recv(h *handle, packets, bytes int) *batch {
	b, used := &batch{}, 0
	for len(h.queue) > 0 && len(b.packets) < packets {
		w := h.queue[0]
		used = (used + 7) / 8 * 8
		r := received{flight: w.flight, copy: w.copy}
		if len(b.packets) == 0 && len(r.data) > bytes {
			r.data, r.cut, r.clean = r.data[:bytes], true, false
		}
		if used+len(r.data) > bytes {
			break
		}
		used += len(r.data)
		b.packets = append(b.packets, inBatch{received: r})
		h.queue = h.queue[1:]
	}
	h.stats.Received += uint64(len(b.packets))
	h.stats.InBatch += uint64(len(b.packets))
	h.batches = append(h.batches, b)
	return b
}

// hold takes packet i out of a batch; false: there is no room, or the handle is closed, and the default is its mark.
func (m *model) hold(h *handle, b *batch, i, most int, deadline time.Duration, byDefault divertdrv.Mark) (*held, error) {
	p := &b.packets[i]
	switch {
	case h.closed:
		p.mark, p.why = byDefault, reason.Abandoned
		return nil, divertdrv.ErrClosed
	case len(h.held) >= most:
		p.mark, p.why = byDefault, reason.HoldFull
		return nil, divertdrv.ErrHoldFull
	}
	p.held = true
	x := &held{received: p.received, owner: h, byDefault: byDefault}
	if deadline > 0 {
		x.deadline = m.now().Add(deadline)
	}
	h.held = append(h.held, x)
	h.stats.InBatch--
	h.stats.Held++
	return x, nil
}

// complete lets what passes go on, in its order. faults says which of it the driver refused.
func (m *model) complete(h *handle, b *batch, faults []bool) error {
	h.batches = slices.DeleteFunc(h.batches, func(o *batch) bool { return o == b })
	for i := range b.packets {
		p := &b.packets[i]
		if p.held {
			continue
		}
		h.stats.InBatch--
		mark, why := p.mark, p.why
		if mark == divertdrv.Pass {
			mark, why = divertdrv.Drop, reason.Abandoned
			if !h.closed {
				mark, why = outcome(m.pass(h, &p.received, faults[i]))
			}
		}
		h.book(mark, why)
	}
	switch {
	case h.closed:
		return divertdrv.ErrClosed
	case m.dead:
		return divertdrv.ErrNoDriver
	case h.gone:
		return divertdrv.ErrClosed
	}
	return nil
}

// release ends a hold, whoever does it.
func (m *model) release(x *held, mark divertdrv.Mark, why divertdrv.Cause, fault bool) error {
	h := x.owner
	x.done = true
	h.held = slices.DeleteFunc(h.held, func(o *held) bool { return o == x })
	h.stats.Held--
	var err error
	switch {
	case mark == divertdrv.Pass:
		err = m.pass(h, &x.received, fault)
		mark, why = outcome(err)
	case m.dead:
		err = divertdrv.ErrNoDriver // nobody was told, but what was to be dropped is
	}
	h.book(mark, why)
	return err
}

// pass lets a received packet go on below its handle.
func (m *model) pass(h *handle, r *received, fault bool) error {
	switch {
	case fault, m.dead:
		return errFault
	case h.gone:
		return divertdrv.ErrClosed
	case r.copy:
		return nil
	case h.is(divertdrv.RecvOnly):
		return divertdrv.ErrUnsupported
	case h.sendShut:
		return divertdrv.ErrShutdown
	case r.cut:
		return divertdrv.ErrMalformed
	}
	f := r.flight
	f.addr.SetLayer(h.layer, addr.EventPacket)
	if len(f.data) > 0 {
		f.addr.SetIPv6(f.data[0]>>4 == 6)
	}
	err := m.walk(h.layer, h, f)
	if err != nil {
		m.refusedPassed++
	}
	return err
}

func (h *handle) book(mark divertdrv.Mark, why divertdrv.Cause) {
	if mark == divertdrv.Pass {
		h.stats.Passed++
	} else {
		h.stats.Dropped[why]++
	}
}

// inject puts packets in, until one fails; n went in. fault is the index of one that the driver refuses; -1 is none.
func (m *model) inject(h *handle, fs []flight, fault int) (n int, err error) {
	switch {
	case h.closed:
		err = divertdrv.ErrClosed
	case h.is(divertdrv.RecvOnly):
		err = divertdrv.ErrUnsupported
	case m.dead:
		err = divertdrv.ErrNoDriver
	}
	for n = 0; n < len(fs) && err == nil; n++ {
		if err = m.injectOne(h, fs[n], n == fault); err != nil {
			break
		}
	}
	h.stats.Injected += uint64(n)
	h.stats.Completed += uint64(n)
	if err != nil {
		h.stats.Injected++
		h.stats.Failed++
	}
	return n, err
}

func (m *model) injectOne(h *handle, f flight, fault bool) error {
	var headers wire.Headers
	wire.Parse(f.data, &headers)
	switch {
	case fault:
		return errFault
	case h.gone:
		return divertdrv.ErrClosed
	case h.sendShut:
		return divertdrv.ErrShutdown
	case headers.Version == 0 || int(headers.Total) != len(f.data):
		return divertdrv.ErrMalformed
	}
	f.addr.SetLayer(h.layer, addr.EventPacket)
	f.addr.SetIPv6(headers.Version == 6)
	f.addr.SetSniffed(false)
	if h.layer == divertdrv.NetworkForward {
		f.addr.SetOutbound(true)
	}
	if err := m.host.complete(&f); err != nil {
		return err
	}
	if f.addr.Impostor() {
		at := 8
		if headers.Version == 6 {
			at = 7
		}
		if f.data[at] <= 1 {
			return divertdrv.ErrHopLimit
		}
		f.addr.SetImpostor(false)
		f.data = slices.Clone(f.data)
		f.data[at]--
		repair(f.data)
	}
	err := m.walk(h.layer, h, f)
	if err != nil {
		m.refusedInjected++
	}
	return err
}

// complete completes the Address of what is injected: a named host knows where it must go.
func (h *host) complete(f *flight) error {
	if !h.named {
		return nil
	}
	if f.addr.Layer() == divertdrv.NetworkForward || !f.addr.Outbound() {
		if h.index(f.addr.IfIdx()) == nil {
			return divertdrv.ErrInvalid
		}
		return nil
	}
	to := destination(f.data)
	via := h.route(to)
	f.addr.SetLoopback(h.owns(to))
	f.addr.SetInterface(via.index, via.sub)
	return nil
}

package simulation

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/divertdrv/wire"
)

// The causes that the model gives by itself.
const (
	causeAbandoned = reason.Abandoned
	overhead       = 63 // bytes that WinDivert adds to each packet in the account of QueueSize
)

// enter is a packet of the host or the wire, at the layer of its Address.
func (m *model) enter(f flight) error {
	switch {
	case m.closed:
		m.stats.Turned++
		return divertdrv.ErrClosed
	case m.ended:
		m.stats.Turned++
		return divertdrv.ErrShutdown
	}
	m.stats.Entered++
	return m.walk(f.addr.Layer(), nil, f)
}

// walk leads a packet past the handles of a layer that are below from.
func (m *model) walk(l divertdrv.Layer, from *handle, f flight) error {
	var h wire.Headers
	wire.Parse(f.data, &h)
	if l == divertdrv.Network && !f.addr.Outbound() && h.Fragment {
		return m.walkFragment(from, f, &h)
	}
	for _, to := range m.below(l, from) {
		if m.offer(to, f, &h) {
			return nil
		}
	}
	return m.leave(f)
}

// walkFragment: handles with the flag see the pieces of an inbound packet, then those without it the whole.
func (m *model) walkFragment(from *handle, f flight, h *wire.Headers) error {
	for _, to := range m.below(divertdrv.Network, from) {
		if to.is(divertdrv.Fragments) && m.offer(to, f, h) {
			return nil
		}
	}
	m.stats.Fragments++
	whole := m.join(f)
	if whole == nil {
		return nil
	}
	m.stats.Wholes++
	f = flight{addr: f.addr, data: whole, clean: true}
	wire.Parse(whole, h)
	for _, to := range m.below(divertdrv.Network, nil) {
		if !to.is(divertdrv.Fragments) && m.offer(to, f, h) {
			return nil
		}
	}
	return m.leave(f)
}

// parts are the pieces of one packet, in the order in which they came.
type parts struct {
	id    uint16
	since time.Time
	list  [][]byte
}

// partsTimeout is how long an IPv4 packet waits for its rest.
const partsTimeout = 30 * time.Second

// join adds a piece, and returns the packet when all of it is there. Packets of a program have identifications of their own; a
// piece that damage made has none to complete it.
func (m *model) join(f flight) []byte {
	if !f.clean {
		return nil
	}
	m.parts = slices.DeleteFunc(m.parts, func(p *parts) bool { return m.now().Sub(p.since) >= partsTimeout })
	id := binary.BigEndian.Uint16(f.data[4:])
	i := slices.IndexFunc(m.parts, func(p *parts) bool { return p.id == id })
	if i < 0 {
		m.parts = append(m.parts, &parts{id: id, since: m.now()})
		i = len(m.parts) - 1
	}
	p := m.parts[i]
	p.list = append(p.list, f.data)
	slices.SortFunc(p.list, func(a, b []byte) int { return int(offset(a)) - int(offset(b)) })
	whole := slices.Clone(p.list[0][:20])
	for _, piece := range p.list {
		if int(offset(piece)) != len(whole)-20 {
			return nil
		}
		whole = append(whole, piece[20:]...)
	}
	if p.list[len(p.list)-1][6]&0x20 != 0 {
		return nil
	}
	m.parts = slices.Delete(m.parts, i, i+1)
	whole[6], whole[7] = 0, 0
	repair(whole)
	return whole
}

func offset(piece []byte) uint16 { return binary.BigEndian.Uint16(piece[6:]) & 0x1fff * 8 }

// offer gives a packet to a handle if it wants it; true: it does not go on.
func (m *model) offer(to *handle, f flight, h *wire.Headers) bool {
	a := f.addr
	if !to.takes() || !to.filter.Match(&a, f.data, h) {
		return false
	}
	switch {
	case to.is(divertdrv.DropAll):
		to.stats.Received++
		to.stats.Dropped[reason.DropHandle]++
		return true
	case to.is(divertdrv.Sniff):
		a.SetSniffed(true)
		m.admit(to, waiting{flight: flight{a, f.data, f.clean}, copy: true})
		return false
	default:
		return m.admit(to, waiting{flight: f})
	}
}

// admit queues a packet, or loses it; false: it passes by.
func (m *model) admit(h *handle, w waiting) bool {
	h.expire(m.now())
	size := uint64(len(w.data) + overhead)
	for {
		why := h.over(size)
		if why == 0 {
			break
		}
		switch {
		case h.overload == divertdrv.OverloadOpen && !h.is(divertdrv.Sniff):
			return false
		case h.overload != divertdrv.OverloadShedOldest, size > h.limit[addr.QueueSize], len(h.queue) == 0:
			h.lose(why)
			return true
		}
		h.lose(why)
		h.queue = h.queue[1:]
	}
	w.since = m.now()
	h.queue = append(h.queue, w)
	return true
}

// over says by which limit one more packet is too much; 0: none.
func (h *handle) over(size uint64) divertdrv.Cause {
	if uint64(len(h.queue))+1 > h.limit[addr.QueueLength] {
		return reason.QueueLength
	}
	for _, w := range h.queue {
		size += uint64(len(w.data) + overhead)
	}
	if size > h.limit[addr.QueueSize] {
		return reason.QueueSize
	}
	return 0
}

// expire loses what waited for too long: when somebody looks, as WinDivert does.
func (h *handle) expire(now time.Time) {
	for len(h.queue) > 0 && now.Sub(h.queue[0].since) > time.Duration(h.limit[addr.QueueTime])*time.Millisecond {
		h.lose(reason.QueueTime)
		h.queue = h.queue[1:]
	}
}

func (h *handle) lose(why divertdrv.Cause) {
	h.stats.Lost++
	h.stats.LostBy[why]++
}

// leave is the end of a packet's walk.
func (m *model) leave(f flight) error {
	err := m.deliver(f)
	if err != nil {
		m.stats.Refused++
		if errors.Is(err, divertdrv.ErrTooBig) {
			m.stats.TooBig++
		}
		return err
	}
	m.stats.Left++
	return nil
}

func (m *model) deliver(f flight) error {
	via := &m.host.ways[0]
	switch {
	case f.addr.Layer() == divertdrv.NetworkForward:
		if m.host.named {
			via = m.host.index(f.addr.IfIdx())
		}
	case !f.addr.Outbound(), f.addr.Loopback(), m.host.named && m.host.owns(destination(f.data)):
		m.exits = append(m.exits, exit{addr: f.addr, data: f.data})
		return nil
	case m.host.named:
		via = m.host.route(destination(f.data))
		f.addr.SetInterface(via.index, via.sub)
	}
	if via == nil {
		return fmt.Errorf("no interface %d: %w", f.addr.IfIdx(), divertdrv.ErrUnreachable)
	}
	if len(f.data) > mtu {
		return divertdrv.ErrTooBig
	}
	m.exits = append(m.exits, exit{wire: true, addr: f.addr, data: f.data})
	return nil
}

// reflect tells the handles at REFLECT of another.
func (m *model) reflect(of *handle, what addr.Event) {
	if of.layer == divertdrv.LayerReflect {
		return
	}
	for _, to := range m.below(divertdrv.LayerReflect, nil) {
		m.tell(to, of, what)
	}
}

func (m *model) tell(to, of *handle, what addr.Event) {
	var a divertdrv.Address
	a.SetLayer(divertdrv.LayerReflect, what)
	a.SetReflect(of.about)
	data := of.real.object
	if !to.takes() || !to.filter.Match(&a, data, nil) {
		return
	}
	a.SetSniffed(true)
	m.admit(to, waiting{flight: flight{addr: a, data: data}, copy: true})
}

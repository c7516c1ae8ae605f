package simulation

import (
	"math/rand/v2"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/filter"
)

// handlesMax bounds the handles that are open at once.
const handlesMax = 6

// programs are the filters of a layer, compiled once.
var programs = map[divertdrv.Layer][]*divertdrv.Filter{
	divertdrv.Network: compile(divertdrv.Network,
		"true", "true", "true", "false", "udp", "tcp", "inbound", "outbound", "ip", "ipv6", "udp.DstPort == 53", "not loopback",
		"tcp.DstPort == 80 or udp.SrcPort < 1200", "impostor or ip.TTL < 3", "length > 60", "fragment", "ip.DstAddr == 192.0.2.10"),
	divertdrv.NetworkForward: compile(divertdrv.NetworkForward, "true", "true", "udp", "tcp", "ip", "ipv6", "tcp.DstPort == 443"),
	divertdrv.LayerReflect: compile(divertdrv.LayerReflect,
		"true", "true", "event == OPEN", "event == CLOSE", "layer == NETWORK", "priority > 0"),
	divertdrv.LayerSocket: compile(divertdrv.LayerSocket,
		"true", "event == CONNECT", "localPort > 2010", "protocol == 6", "processId == 7", "event == CLOSE or event == ACCEPT", "loopback"),
}

func compile(l divertdrv.Layer, texts ...string) (all []*divertdrv.Filter) {
	for _, text := range texts {
		p, err := filter.Parse(text, l)
		if err != nil {
			panic("simulation: " + err.Error())
		}
		all = append(all, p)
	}
	return all
}

// open opens a handle, or tries what must be refused.
func (r *runner) open(d *rand.Rand) {
	open := 0
	for _, h := range r.handles {
		if !h.closed {
			open++
		}
	}
	if open >= handlesMax {
		return
	}
	h := r.draw(d)
	o := &divertdrv.Options{Driver: r.tap, Priority: int16(h.priority), Flags: h.flags, Overload: h.overload, Readers: 1}
	want := r.mayOpen(d, o, h.layer)
	handle, err := divertdrv.OpenProgram(h.filter, o)
	r.note("  handle %d: %v %v, priority %d, flags %v, overload %d: %v", h.number, h.layer, h.filter, o.Priority, o.Flags, o.Overload, err)
	if r.agree("open", err, want); err != nil || r.result.Err != nil {
		return
	}
	h.real.Handle = handle
	if c, ok := r.probe.last.(interface{ Ready() bool }); ok {
		h.real.ready = c.Ready
	}
	r.opened(h)
	if d.IntN(2) == 0 {
		r.tighten(h)
	}
}

// draw makes a handle that may be opened.
func (r *runner) draw(d *rand.Rand) *handle {
	h := &handle{number: len(r.handles), priority: d.IntN(5) - 2, overload: divertdrv.Overload(d.IntN(3))}
	switch n := d.IntN(20); {
	case n < 13:
		h.layer = divertdrv.Network
	case n < 17:
		h.layer = divertdrv.NetworkForward
	default:
		h.layer = divertdrv.LayerReflect
	}
	if r.setup.Sockets && d.IntN(2) == 0 {
		h.layer = divertdrv.LayerSocket
	}
	h.filter = programs[h.layer][d.IntN(len(programs[h.layer]))]
	h.flags = []divertdrv.Flags{
		0, 0, 0, 0, 0, 0, divertdrv.Sniff, divertdrv.Sniff | divertdrv.RecvOnly, divertdrv.DropAll, divertdrv.SendOnly, divertdrv.RecvOnly,
		divertdrv.Fragments, divertdrv.Fragments, divertdrv.Fragments | divertdrv.Sniff, divertdrv.NoInstall,
	}[d.IntN(15)]
	switch h.layer {
	case divertdrv.LayerReflect:
		h.flags = divertdrv.Sniff | divertdrv.RecvOnly
	case divertdrv.LayerSocket:
		h.flags = divertdrv.RecvOnly | []divertdrv.Flags{0, 0, divertdrv.Sniff, divertdrv.DropAll}[d.IntN(4)]
	}
	for p := range h.limit {
		_, _, h.limit[p], _ = addr.Param(p).Range()
	}
	return h
}

// mayOpen spoils the options now and then, and says what Open must return.
func (r *runner) mayOpen(d *rand.Rand, o *divertdrv.Options, l divertdrv.Layer) error {
	switch d.IntN(40) {
	case 0: // exclude each other
		o.Flags |= divertdrv.Sniff | divertdrv.DropAll
		return divertdrv.ErrInvalid
	case 1:
		o.Priority = addr.PriorityHighest + 1
		return divertdrv.ErrInvalid
	case 2:
		if l == divertdrv.LayerReflect {
			o.Flags = divertdrv.RecvOnly
			return divertdrv.ErrInvalid
		}
	case 3:
		if !r.dead {
			o.Readers = 2
			return divertdrv.ErrUnsupported
		}
	}
	switch {
	case r.dead:
		return divertdrv.ErrNoDriver
	case r.closed:
		return divertdrv.ErrClosed
	}
	return nil
}

// opened tells the model of a handle.
func (r *runner) opened(h *handle) {
	object, err := h.filter.Object()
	if err != nil {
		r.fail("a filter that was opened has no object: %v", err)
	}
	h.real.object = append([]byte(object), 0)
	h.about = addr.Reflect{
		Timestamp: r.now().UnixNano(), ProcessID: processID, Layer: h.layer, Flags: h.flags, Priority: int16(h.priority),
	}
	r.handles = append(r.handles, h)
	if h.layer != divertdrv.LayerReflect {
		r.reflect(h, addr.EventOpen)
		return
	}
	for _, o := range r.handles {
		if o.layer != divertdrv.LayerReflect && !o.gone {
			r.tell(h, o, addr.EventOpen)
		}
	}
}

// tighten gives a handle the smallest queue that there may be.
func (r *runner) tighten(h *handle) {
	for _, p := range []divertdrv.Param{addr.QueueLength, addr.QueueTime, addr.QueueSize} {
		lo, _, _, _ := p.Range()
		r.agree("set param", h.real.SetParam(p, lo), nil)
		h.limit[p] = lo
	}
}

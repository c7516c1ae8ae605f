package simulation

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"

	"github.com/weirnet/weir/divertdrv"
)

func (r *runner) next() uint32 { r.number++; return r.number }

// traffic lets packets in: some, or a burst that is more than the smallest queue can take.
func (r *runner) traffic(d *rand.Rand) {
	n := 1 + d.IntN(6)
	if d.IntN(10) == 0 {
		n = 40 + d.IntN(30)
	}
	for range n {
		r.one(d)
	}
}

func (r *runner) one(d *rand.Rand) {
	switch d.IntN(10) {
	case 0, 1, 2:
		data := outward(d, r.next()).bytes()
		r.enters("send", data, r.host.send(data), r.sim.Send)
	case 3, 4, 5, 6:
		data := outward(d, r.next()).swap().bytes()
		if !r.setup.Wire {
			r.enters("receive", data, r.host.receive(data), r.sim.Receive)
			return
		}
		r.note("  on the wire: %s", title(data))
		r.sent[string(data)] = true
		r.pipe.Send(data)
	case 7:
		data := looped(d, r.next(), r.host.named).bytes()
		r.enters("loop", data, r.host.loop(data), r.sim.Loop)
	case 8:
		data := outward(d, r.next()).bytes()
		r.enters("forward", data, r.host.forward(data), r.sim.Forward)
	default:
		data := outward(d, r.next()).bytes()
		a := r.host.send(data)
		a.SetImpostor(true)
		r.enters("enter", data, a, func(b []byte) error { return r.sim.Enter(&a, b) })
	}
}

// pieces lets an inbound packet in, in pieces of any order; now and then one never comes. The first has the whole TCP header: one
// that has not is refused (RFC 1858).
func (r *runner) pieces(d *rand.Rand) {
	s := outward(d, r.next()).swap()
	s.src, s.dst, s.size, s.dontFragment = peers[d.IntN(3)], own4, 40+d.IntN(200), false
	all := fragments(s.bytes(), 8*(3+d.IntN(6)))
	d.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	if d.IntN(4) == 0 {
		all = all[1:]
	}
	for _, piece := range all {
		r.enters("receive", piece, r.host.receive(piece), r.sim.Receive)
		if d.IntN(4) == 0 {
			r.one(d)
		}
	}
}

func (r *runner) enters(how string, data []byte, a divertdrv.Address, enter func([]byte) error) {
	r.note("  %s %s", how, title(data))
	err := enter(data)
	r.agree(how, err, r.enter(flight{addr: a, data: data, clean: true}))
}

// arrive is the end of the wire: the packet may be damaged, or another copy.
func (r *runner) arrive(data []byte) error {
	data = bytes.Clone(data)
	r.note("  receive %s", title(data))
	err := r.sim.Receive(data)
	r.agree("receive", err, r.enter(flight{addr: r.host.receive(data), data: data, clean: r.sent[string(data)]}))
	return err
}

// injectSome injects up to three packets, some of which must be refused.
func (r *runner) injectSome(d *rand.Rand) {
	h := r.mostly(d)
	if h == nil {
		return
	}
	var packets []divertdrv.Packet
	var flights []flight
	for range d.IntN(4) {
		p, f := r.made(d, h)
		r.note("  at handle %d: %s, %s", h.number, describe(p.Addr), title(p.Data))
		packets, flights = append(packets, *p), append(flights, f)
	}
	if len(packets) == 0 {
		n, err := h.real.Inject(nil)
		if n != 0 || err != nil {
			r.fail("inject of nothing: %d, %v", n, err)
		}
		return
	}
	n, err := h.real.Inject(packets)
	r.learn(err)
	fault := -1
	if isFault(err) && !errors.Is(err, divertdrv.ErrNoDriver) {
		fault = n
		r.fault(1)
	}
	wantN, want := r.inject(h, flights, fault)
	if r.agree("inject", err, want); n != wantN {
		r.fail("inject: %d went in (%v), want %d (%v)", n, err, wantN, want)
	}
}

// fault counts packets that the driver refused, which it may in some programs only.
func (r *runner) fault(n int) {
	r.result.Counts.Faults += uint64(n)
	if n > 0 && r.setup.Refuse == 0 {
		r.fail("the driver refuses %d packets by itself", n)
	}
}

// made makes a packet to inject, as it is given and as it must go.
func (r *runner) made(d *rand.Rand, h *handle) (*divertdrv.Packet, flight) {
	s := outward(d, r.next())
	outbound := d.IntN(2) == 0
	if !outbound {
		s = s.swap()
	}
	given := s.bytes()
	f := flight{data: slices.Clone(given), clean: true}
	a := r.host.address(&r.host.ways[0], given)
	a.SetOutbound(outbound)
	f.addr = a
	switch d.IntN(10) {
	case 0, 1: // checksums are left to the driver
		spoil(given)
		a.SetChecksums(false)
		_, _, udp := layout(given)
		f.addr.SetIPChecksum(given[0]>>4 == 4)
		f.addr.SetTCPChecksum(!udp)
		f.addr.SetUDPChecksum(udp)
	case 2: // its end is missing
		given = given[:len(given)-1]
		f.data, f.clean = given, false
	case 3:
		a.SetImpostor(true)
		f.addr.SetImpostor(true)
	case 4: // no such interface
		a.SetInterface(99, 0)
		f.addr.SetInterface(99, 0)
	case 5: // wrong, and said to be right: it is taken at its word
		spoil(given)
		f.data, f.clean = slices.Clone(given), false
	}
	return divertdrv.NewPacket(a, given), f
}

package stack

import (
	"unsafe"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/wire"
)

// Inject lets packets walk below c, in order, until one is refused: not a whole IP packet (ErrMalformed), over MTUMax
// (ErrTooBig), outbound with its header not aligned as Caps.HeaderAlign asks (ErrMisaligned), an impostor whose hop limit is
// used up (ErrHopLimit), or what the Sink says. That a queue on the way sheds it is no failure, as in WinDivert.
func (c *conn) Inject(p []divertdrv.Packet) (n int, err error) {
	s := c.stack
	s.lock()
	defer s.unlock()
	switch {
	case c.closed:
		return 0, divertdrv.ErrClosed
	case c.recvOnly:
		return 0, divertdrv.ErrUnsupported
	case c.sendShut:
		return 0, divertdrv.ErrShutdown
	}
	for n := range p {
		if err := c.injectOne(&p[n]); err != nil {
			return n, err
		}
	}
	return len(p), nil
}

func (c *conn) injectOne(p *divertdrv.Packet) error {
	h := p.Headers()
	switch {
	case len(p.Data) > divertdrv.MTUMax:
		return divertdrv.ErrTooBig
	case h.Version == 0 || int(h.Total) != len(p.Data):
		return divertdrv.ErrMalformed
	case p.Addr.Outbound() && !aligned(p.Data, c.stack.caps.HeaderAlign):
		return divertdrv.ErrMisaligned
	}
	a, data := c.stack.injected(c.layer, p.Addr, h), p.Data
	if inject := c.stack.injects; inject != nil {
		if err := inject(a, data, h); err != nil {
			return err
		}
	}
	if a.Impostor() {
		var ok bool
		if data, ok = c.stack.hop(data, h); !ok {
			return divertdrv.ErrHopLimit
		}
		a.SetImpostor(false) // from here on it is ours: lower handles would pay a second hop
	}
	return c.stack.walk(c.layer, c.rank, a, data, 0)
}

// injected returns the Address that the others see: what the driver knows better than who injects is set.
func (s *Stack) injected(l addr.Layer, given *addr.Address, h *wire.Headers) *addr.Address {
	a := &s.address
	*a = *given
	a.SetLayer(l, addr.EventPacket)
	a.SetIPv6(h.Version == 6)
	a.SetSniffed(false)
	if l == addr.NetworkForward {
		a.SetOutbound(true)
	}
	if a.Timestamp == 0 {
		a.Timestamp = s.clock.Now().UnixNano()
	}
	return a
}

// hop copies a packet and takes one off the copy's hop limit; false: there is none left.
func (s *Stack) hop(data []byte, h *wire.Headers) ([]byte, bool) {
	s.hopped = append(s.hopped[:0], data...)
	return s.hopped, wire.DecrementTTL(s.hopped, h)
}

func aligned(data []byte, to int) bool {
	return to <= 1 || len(data) == 0 || uintptr(unsafe.Pointer(&data[0]))%uintptr(to) == 0
}

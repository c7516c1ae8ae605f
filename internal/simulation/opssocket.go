package simulation

import (
	"math/rand/v2"
	"net/netip"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/divertdrv/simdrv"
)

// endpoint is a socket of the host, on both sides.
type endpoint struct {
	flow  addr.Flow
	state endpointState
	real  *simdrv.Socket
}

type endpointState uint8

const (
	bound endpointState = iota
	listening
	connected
	shut
)

// happens leads an event of a socket past the handles that see such; true: one of them blocks it. A close cannot be stopped.
func (m *model) happens(f addr.Flow, what addr.Event) (blocked bool) {
	var a divertdrv.Address
	a.SetLayer(divertdrv.LayerSocket, what)
	a.SetOutbound(what != addr.EventAccept)
	a.SetLoopback(f.Remote.IsValid() && m.host.owns(f.Remote.Addr()))
	a.SetFlow(f)
	for _, h := range m.below(divertdrv.LayerSocket, nil) {
		b := a
		if !h.takes() || !h.filter.Match(&b, nil, nil) {
			continue
		}
		switch {
		case h.is(divertdrv.DropAll) && what == addr.EventClose:
		case h.is(divertdrv.DropAll):
			h.stats.Received++
			h.stats.Dropped[reason.DropHandle]++
			return true
		case h.is(divertdrv.Sniff) || what == addr.EventClose:
			b.SetSniffed(true)
			m.admit(h, waiting{flight: flight{addr: b}, copy: true})
		case m.admit(h, waiting{flight: flight{addr: b}}):
			return true
		}
	}
	return false
}

// socketCall makes a socket, or has one do something.
func (r *runner) socketCall(d *rand.Rand) {
	e := pick(d, r.socks, func(e *endpoint) bool { return e.state != shut })
	remote := netip.AddrPortFrom([]netip.Addr{peers[0], peers[1], loopback4}[d.IntN(3)], 80)
	switch n := d.IntN(8); {
	case n < 3 || e == nil:
		f := addr.Flow{ProcessID: 6 + d.Uint32N(3), Protocol: protoTCP, Local: netip.AddrPortFrom(own4, uint16(2000+r.next()))}
		if d.IntN(2) == 0 {
			f.Protocol = protoUDP
		}
		k, err := r.sim.Bind(f.ProcessID, f.Protocol, f.Local)
		r.socketMade("bind", k, err, f, addr.EventBind, bound)
	case n < 4:
		r.turns("listen", e, e.flow, addr.EventListen, listening, e.real.Listen)
	case n < 5:
		f := e.flow
		f.Remote = remote
		r.turns("connect", e, f, addr.EventConnect, connected, func() error { return e.real.Connect(remote) })
	case n < 6:
		k, err := e.real.Accept(own4, remote)
		if e.state != listening {
			r.agree("accept", err, divertdrv.ErrInvalid)
			return
		}
		f := e.flow
		f.ParentEndpointID, f.Remote = f.EndpointID, remote
		r.socketMade("accept", k, err, f, addr.EventAccept, connected)
	default:
		e.real.Close()
		e.real.Close()
		e.state = shut
		r.note("  socket %d closes", e.flow.EndpointID)
		r.happens(e.flow, addr.EventClose)
		r.stats.Sockets--
	}
}

// socketMade tells the model of a socket that was asked for. One that is blocked has used up a number.
func (r *runner) socketMade(how string, k *simdrv.Socket, err error, f addr.Flow, what addr.Event, state endpointState) {
	r.note("  %s %v by %d: %v", how, f.Local, f.ProcessID, err)
	if r.closed {
		r.agree(how, err, divertdrv.ErrClosed)
		return
	}
	r.endpoints++
	f.EndpointID = r.endpoints
	if r.happens(f, what) {
		r.agree(how, err, simdrv.ErrBlocked)
		return
	}
	if r.agree(how, err, nil); err != nil {
		return
	}
	if r.stats.Sockets++; k.ID() != f.EndpointID || k.Local() != f.Local {
		r.fail("%s: socket %d at %v, want %d at %v", how, k.ID(), k.Local(), f.EndpointID, f.Local)
	}
	r.socks = append(r.socks, &endpoint{f, state, k})
}

// turns has a socket that is just bound become something else.
func (r *runner) turns(how string, e *endpoint, f addr.Flow, what addr.Event, state endpointState, call func() error) {
	err := call()
	r.note("  socket %d: %s: %v", e.flow.EndpointID, how, err)
	switch {
	case e.state != bound:
		r.agree(how, err, divertdrv.ErrInvalid)
	case r.happens(f, what):
		r.agree(how, err, simdrv.ErrBlocked)
	default:
		r.agree(how, err, nil)
		e.flow, e.state = f, state
	}
}

package simdrv

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
)

// What the calls of a Socket fail with, beside divertdrv.ErrClosed, ErrInvalid and ErrNoRoom.
var (
	ErrBlocked = errors.New("blocked by a divert handle at layer socket") // which is open without Sniff and matches
	ErrInUse   = errors.New("address in use")
)

// Socket is an endpoint of a simulated program. Its calls are events of the SOCKET layer, told before they happen: a handle
// there may block them. It sends nothing by itself: packets from its address, by Send, are flows of its process.
//
//	bound ──Connect──▶ connected      bound ──Listen──▶ listening ──Accept──▶ another, connected      any ──Close──▶ closed
type Socket struct {
	stack *Stack // its engine's lock guards all below
	state socketState
	flow  addr.Flow // ids, protocol and ends
}

type socketState uint8

const (
	socketBound socketState = iota
	socketListening
	socketConnected
	socketClosed
)

// A program that names no port has one from the range for that (RFC 6335, section 6).
const (
	ephemeralMin = 49152
	ephemeralMax = 65535
)

// Bind makes a socket of a process (0: nobody's) for a protocol at a local address, which may be unspecified for all of the
// host's; port 0 is any that is free. The error is ErrBlocked, ErrInUse, ErrNoRoom (SocketsMax are open) or ErrClosed.
func (s *Stack) Bind(process uint32, protocol uint8, local netip.AddrPort) (k *Socket, err error) {
	if !local.Addr().IsValid() {
		return nil, fmt.Errorf("%w: bind to no address; 0.0.0.0 or :: stands for all of a family", divertdrv.ErrInvalid)
	}
	s.engine.Do(func() {
		f := addr.Flow{ProcessID: process, Protocol: protocol, Local: local}
		if f.Local, err = s.sockets.choose(protocol, local); err != nil {
			return
		}
		k, err = s.socket(f, addr.EventBind, socketBound)
	})
	return k, err
}

// socket makes one that no handle blocks.
func (s *Stack) socket(f addr.Flow, what addr.Event, state socketState) (*Socket, error) {
	if s.flows.stopped {
		return nil, divertdrv.ErrClosed
	}
	if len(s.sockets.byID) >= s.sockets.max {
		return nil, divertdrv.ErrNoRoom
	}
	s.flows.start()
	s.sockets.id++
	f.EndpointID = s.sockets.id
	k := &Socket{stack: s, flow: f, state: state}
	if k.tell(what) {
		return nil, ErrBlocked
	}
	s.sockets.add(k)
	return k, nil
}

// Connect makes remote the socket's peer. The error is ErrBlocked, ErrInvalid if the socket is not just bound, or ErrClosed.
func (k *Socket) Connect(remote netip.AddrPort) error {
	return k.change(func() error {
		before := k.flow
		k.flow.Remote = remote
		if k.tell(addr.EventConnect) {
			k.flow = before
			return ErrBlocked
		}
		k.state = socketConnected
		k.stack.sockets.move(k, before)
		return nil
	})
}

// Listen makes the socket one that accepts. Errors as for Connect.
func (k *Socket) Listen() error {
	return k.change(func() error {
		if k.tell(addr.EventListen) {
			return ErrBlocked
		}
		k.state = socketListening
		return nil
	})
}

func (k *Socket) change(f func() error) (err error) {
	k.stack.engine.Do(func() {
		switch k.state {
		case socketClosed:
			err = divertdrv.ErrClosed
		case socketBound:
			err = f()
		default:
			err = fmt.Errorf("%w: the socket is listening or connected already", divertdrv.ErrInvalid)
		}
	})
	return err
}

// Accept makes a socket of the same process for a peer that connected to a local address of the host: the listening one's own,
// or one that it stands for. The new one's parent is k. Errors as for Bind, and ErrInvalid if k does not listen.
func (k *Socket) Accept(local netip.Addr, remote netip.AddrPort) (peer *Socket, err error) {
	k.stack.engine.Do(func() {
		switch k.state {
		case socketClosed:
			err = divertdrv.ErrClosed
		case socketListening:
			f := k.flow
			f.ParentEndpointID = f.EndpointID
			f.Local, f.Remote = netip.AddrPortFrom(local, f.Local.Port()), remote
			peer, err = k.stack.socket(f, addr.EventAccept, socketConnected)
		default:
			err = fmt.Errorf("%w: accept on a socket that does not listen", divertdrv.ErrInvalid)
		}
	})
	return peer, err
}

// Close ends the socket, which nobody can block, and its flows that have no end of their own (all but TCP). Repeating it is
// harmless.
func (k *Socket) Close() {
	k.stack.engine.Do(func() {
		if k.state == socketClosed {
			return
		}
		k.state = socketClosed
		k.tell(addr.EventClose)
		k.stack.sockets.remove(k)
		k.stack.flows.endOf(k.flow.EndpointID)
	})
}

// ID is the socket's EndpointID in events.
func (k *Socket) ID() uint64 { return k.flow.EndpointID }

// Local is the address that the socket is bound to.
func (k *Socket) Local() netip.AddrPort { return k.flow.Local }

// tell says what is about to happen; true: a handle blocks it. Outbound is false for what a peer began, and for nothing else.
func (k *Socket) tell(e addr.Event) (blocked bool) {
	var a divertdrv.Address
	a.Timestamp = k.stack.now().UnixNano()
	a.SetLayer(addr.LayerSocket, e)
	a.SetOutbound(e != addr.EventAccept)
	a.SetIPv6(k.flow.Local.Addr().Is6())
	a.SetLoopback(k.flow.Remote.IsValid() && k.stack.own(k.flow.Remote.Addr()))
	a.SetFlow(k.flow)
	return k.stack.engine.Emit(&a, k.stack.engine.Opened())
}

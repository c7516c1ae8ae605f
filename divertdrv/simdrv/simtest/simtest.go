// Package simtest is the conformance suite's World on simdrv: a host with two interfaces, the wire around it, and programs with
// sockets. The simulator's own test uses it, and so can the test of whatever stands around a driver, and must keep to the
// contract: what traces, counts or damages.
package simtest

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/drvtest"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/internal/clock"
)

const (
	holdMax = 70   // small, so that it is soon reached
	program = 4321 // the process of the suite's sockets
)

// Interfaces returns the host's: the suite's peer is reached by the first, who is beyond by the second.
func Interfaces() []simdrv.Interface {
	return []simdrv.Interface{
		{IfIdx: 7, Default: true, Addrs: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("2001:db8:1::1/64")}},
		{IfIdx: 9, Addrs: []netip.Prefix{netip.MustParsePrefix("203.0.113.9/24"), netip.MustParsePrefix("2001:db8:3::9/64")}},
	}
}

// New makes a host by c, whose limit of held packets and ends are set here, and whose clock is a virtual one if c has none. It
// lacks nothing that the suite asks for, unless c names no interfaces.
func New(t drvtest.T, c simdrv.Config) *drvtest.World {
	n := &network{listening: map[uint16]*simdrv.Socket{}}
	var advance func(time.Duration)
	if c.Clock == nil {
		v := clock.NewVirtual(time.Unix(1_700_000_000, 0))
		c.Clock, advance = v, v.Advance
	}
	c.HoldMax, c.OnWire, c.OnHost = holdMax, n.arrive(false), n.arrive(true)
	n.sim = simdrv.New(c)
	t.Cleanup(n.sim.Close)
	w := &drvtest.World{
		Driver: n.sim,
		Caps: divertdrv.Caps{
			Inject: true, InjectInbound: true, Modify: true, Grow: true, Process: true, GSO: true, IfIdx: true, Fragments: true,
			LossCounted: true, HoldMax: holdMax, HeaderAlign: c.HeaderAlign,
		},
		Network: n,
		Ways:    []drvtest.Way{drvtest.Outbound, drvtest.Inbound, drvtest.Loopback, drvtest.Forwarded},
		Advance: advance,
		Sockets: n,
		Jumbo:   true,
	}
	if len(c.Interfaces) > 0 {
		w.IfIdx = c.Interfaces[0].IfIdx
	}
	return w
}

// network is the host and the wire around a simulated stack. Nothing is ever under way in it.
type network struct {
	sim       *simdrv.Stack
	listening map[uint16]*simdrv.Socket

	mu   sync.Mutex // guards left
	left []drvtest.Arrival
}

func (n *network) arrive(atHost bool) func(*divertdrv.Address, []byte) {
	return func(_ *divertdrv.Address, data []byte) {
		n.mu.Lock()
		defer n.mu.Unlock()
		n.left = append(n.left, drvtest.Arrival{AtHost: atHost, Data: bytes.Clone(data)})
	}
}

func (n *network) Send(w drvtest.Way, data []byte) error {
	switch w {
	case drvtest.Outbound:
		return n.sim.Send(data)
	case drvtest.Inbound:
		return n.sim.Receive(data)
	case drvtest.Loopback:
		return n.sim.Loop(data)
	case drvtest.Forwarded:
		return n.sim.Forward(data)
	}
	return fmt.Errorf("no way %v", w)
}

func (n *network) Settle() {}

func (n *network) Left() []drvtest.Arrival {
	n.mu.Lock()
	defer n.mu.Unlock()
	left := n.left
	n.left = nil
	return left
}

func (n *network) PID() uint32 { return program }

func (n *network) Bind(protocol uint8, local netip.AddrPort) (drvtest.Socket, error) {
	k, err := n.sim.Bind(program, protocol, local)
	return &socket{k: k}, err
}

func (n *network) Listen(local netip.AddrPort) (drvtest.Socket, error) {
	k, err := n.sim.Bind(program, wire.ProtoTCP, local)
	if err != nil {
		return nil, err
	}
	if err := k.Listen(); err != nil {
		k.Close()
		return nil, err
	}
	n.listening[local.Port()] = k
	return &socket{k: k}, nil
}

func (n *network) Connect(protocol uint8, local, remote netip.AddrPort) (drvtest.Socket, error) {
	k, err := n.sim.Bind(program, protocol, local)
	if err != nil {
		return nil, err
	}
	if err := k.Connect(remote); err != nil {
		k.Close()
		return nil, err
	}
	s := &socket{k, drvtest.Talk{Network: n, Protocol: protocol, Local: local, Remote: remote}}
	return s, s.talk.Connect()
}

func (n *network) Accept(local, remote netip.AddrPort) (drvtest.Socket, error) {
	talk := drvtest.Talk{Network: n, Protocol: wire.ProtoTCP, Local: local, Remote: remote}
	if err := talk.Knock(); err != nil {
		return nil, err
	}
	k, err := n.listening[local.Port()].Accept(local.Addr(), remote)
	if err != nil {
		return nil, errors.Join(err, talk.Refuse())
	}
	return &socket{k, talk}, talk.Answer()
}

// socket is a program's, and what both ends of its connection say.
type socket struct {
	k    *simdrv.Socket
	talk drvtest.Talk // without a protocol: it is not connected
}

func (s *socket) Close() error {
	err := s.talk.Close()
	s.k.Close()
	return err
}

package simdrv_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/drvtest"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/internal/clock"
)

// The whole contract on a host with two interfaces, with nothing left out.
func TestDriver(t *testing.T) {
	drvtest.TestDriver(t, drvtest.Setup{New: func(t drvtest.T) *drvtest.World { return newWorld(t, simdrv.Config{Interfaces: interfaces}) }})
}

// The same where nothing is said of interfaces, and injection may name any.
func TestDriverOfAPlainHost(t *testing.T) {
	drvtest.TestDriver(t, drvtest.Setup{
		New: func(t drvtest.T) *drvtest.World {
			w := newWorld(t, simdrv.Config{})
			w.IfIdx = 0
			return w
		},
		Skips: []string{"inject/inbound-at-an-interface-that-is"},
	})
}

// The same where checksums are left to the hardware, and headers must be aligned.
func TestDriverWithOffload(t *testing.T) {
	drvtest.TestDriver(t, drvtest.Setup{New: func(t drvtest.T) *drvtest.World {
		return newWorld(t, simdrv.Config{Interfaces: interfaces, Offload: true, HeaderAlign: 8})
	}})
}

// Broken in each way that the suite knows, the simulator fails the rules that it should, and no others.
func TestMutants(t *testing.T) {
	drvtest.TestMutants(t, drvtest.Setup{New: func(t drvtest.T) *drvtest.World {
		return newWorld(t, simdrv.Config{Interfaces: interfaces, HeaderAlign: 8})
	}})
}

const (
	holdMax = 70   // small, so that it is soon reached
	program = 4321 // the process of the suite's sockets
)

// interfaces have the suite's addresses: the peer is reached by the first, who is beyond by the second.
var interfaces = []simdrv.Interface{
	{IfIdx: 7, Default: true, Addrs: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24"), netip.MustParsePrefix("2001:db8:1::1/64")}},
	{IfIdx: 9, Addrs: []netip.Prefix{netip.MustParsePrefix("203.0.113.9/24"), netip.MustParsePrefix("2001:db8:3::9/64")}},
}

func newWorld(t drvtest.T, c simdrv.Config) *drvtest.World {
	n := &network{listening: map[uint16]*simdrv.Socket{}}
	v := clock.NewVirtual(time.Unix(1_700_000_000, 0))
	c.Clock, c.HoldMax, c.OnWire, c.OnHost = v, holdMax, n.arrive(false), n.arrive(true)
	n.sim = simdrv.New(c)
	t.Cleanup(n.sim.Close)
	return &drvtest.World{
		Driver: n.sim,
		Caps: divertdrv.Caps{
			Inject: true, InjectInbound: true, Modify: true, Grow: true, Process: true, GSO: true, IfIdx: true, Fragments: true,
			LossCounted: true, HoldMax: holdMax, HeaderAlign: c.HeaderAlign,
		},
		Network: n,
		Ways:    []drvtest.Way{drvtest.Outbound, drvtest.Inbound, drvtest.Loopback, drvtest.Forwarded},
		Advance: v.Advance,
		Sockets: n,
		Jumbo:   true,
		IfIdx:   7,
	}
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

package simdrv

import "github.com/weirnet/weir/divertdrv"

// Port is an interface of a host, for joining it to another.
type Port struct {
	Stack *Stack
	IfIdx uint32 // 0: the first
}

// Link is a wire between two hosts.
type Link struct {
	There, Back *Pipe // from the first host to the second, and back
	ports       [2]*Interface
	stacks      [2]*Stack
}

// Join makes a wire between two ports: what leaves the one is received by the other, and no longer given to OnWire. Both
// directions have the faults of c, the way back by another seed. nil: an interface does not exist. Each port has one wire; joining
// it again replaces the wire.
func Join(a, b Port, c PipeConfig) *Link {
	l := &Link{stacks: [2]*Stack{a.Stack, b.Stack}}
	for i, p := range []Port{a, b} {
		if l.ports[i] = p.Stack.byIndex(p.IfIdx); p.IfIdx == 0 {
			l.ports[i] = &p.Stack.config.Interfaces[0]
		}
		if l.ports[i] == nil {
			return nil
		}
	}
	back := c
	back.Faults.Seed ^= 0x6261636b
	l.There = NewPipe(c, l.receive(1))
	l.Back = NewPipe(back, l.receive(0))
	l.plug(l.There.Send, l.Back.Send)
	return l
}

// receive is the end of a pipe at one of the hosts.
func (l *Link) receive(at int) func([]byte) error {
	host, port := l.stacks[at], l.ports[at]
	return func(data []byte) error { return host.receive(port, data) }
}

func (l *Link) plug(there, back func([]byte)) {
	l.stacks[0].engine.Do(func() { l.ports[0].wire = there })
	l.stacks[1].engine.Do(func() { l.ports[1].wire = back })
}

// Close cuts the wire: what is under way is lost and counted, and what leaves from then on is given to OnWire. Repeating it is harmless.
func (l *Link) Close() {
	l.plug(nil, nil)
	l.There.Close()
	l.Back.Close()
}

// toWire gives a packet to what is at the end of the interface.
func (s *Stack) toWire(via *Interface, a *divertdrv.Address, data []byte) {
	if via.wire != nil {
		via.wire(data)
		return
	}
	s.config.OnWire(a, data)
}

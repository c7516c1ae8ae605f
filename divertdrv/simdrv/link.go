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
	ends        [2]end
}

// end is one end of a Link: pipe takes what leaves the host by the port.
type end struct {
	host *Stack
	port *Interface
	pipe *Pipe
}

// Join makes a wire between two ports: what leaves by the one is received by the other, and no longer given to OnWire. Both
// directions have the faults of c, the way back by another seed. Each port has one wire: joining it again replaces that. The two
// ports may be one host's. ErrInvalid: there is no such interface.
func Join(a, b Port, c PipeConfig) (*Link, error) {
	l := &Link{}
	for i, p := range []Port{a, b} {
		e := end{host: p.Stack, port: &p.Stack.config.Interfaces[0]}
		if p.IfIdx != 0 {
			e.port = p.Stack.byIndex(p.IfIdx)
		}
		if e.port == nil {
			return nil, p.Stack.noInterface("join", divertdrv.Network, p.IfIdx)
		}
		l.ends[i] = e
	}
	back := c
	back.Faults.Seed ^= 0x6261636b
	l.There = NewPipe(c, l.ends[1].receive)
	l.Back = NewPipe(back, l.ends[0].receive)
	l.ends[0].pipe, l.ends[1].pipe = l.There, l.Back
	for _, e := range l.ends {
		e.host.engine.Do(func() { e.port.wire = e.pipe })
	}
	return l, nil
}

func (e end) receive(data []byte) error { return e.host.receive(e.port, data) }

// Close cuts the wire: what is under way is lost and counted, and what leaves from then on is given to OnWire. Repeating it is
// harmless, as it is after another Join took a port over.
func (l *Link) Close() {
	for _, e := range l.ends {
		e.host.engine.Do(func() {
			if e.port.wire == e.pipe {
				e.port.wire = nil
			}
		})
		e.pipe.Close()
	}
}

// toWire gives a packet to what is at the end of the interface.
func (s *Stack) toWire(via *Interface, a *divertdrv.Address, data []byte) {
	if via.wire != nil {
		via.wire.Send(data)
		return
	}
	s.config.OnWire(a, data)
}

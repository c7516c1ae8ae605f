package simulation

import (
	"encoding/binary"
	"fmt"

	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/divertdrv/wire"
)

// order watches that packets of one flow and direction leave a host in the order in which they came, held ones too.
type order struct{ flows map[lane]*sequence }

// lane is one direction of a flow.
type lane struct {
	key      wire.FlowKey
	outbound bool
}

// sequence is what came on a lane and did not leave: some of it may be lost, so it is looked through from the start.
type sequence struct {
	numbers []uint32
	at      int // all before it has left, or may not leave any more
}

// injectedFrom is where the numbers of packets start that callouts make: they come from nowhere, in no order.
const injectedFrom = 1 << 24

func (o *order) entered(outbound bool, data []byte) {
	l, n, ok := laneOf(outbound, data)
	if !ok {
		return
	}
	if o.flows == nil {
		o.flows = map[lane]*sequence{}
	}
	s := o.flows[l]
	if s == nil {
		s = &sequence{}
		o.flows[l] = s
	}
	s.numbers = append(s.numbers, n)
}

// exits returns an error for a packet that another of its flow has overtaken.
func (o *order) exits(outbound bool, data []byte) error {
	l, n, ok := laneOf(outbound, data)
	if !ok {
		return nil
	}
	s := o.flows[l]
	if s == nil {
		return nil // injected beside: of a flow that the host has not seen
	}
	for i := s.at; i < len(s.numbers); i++ {
		if s.numbers[i] == n {
			s.at = i + 1
			return nil
		}
	}
	for _, came := range s.numbers[:s.at] {
		if came == n {
			return fmt.Errorf("packet %d of flow %v leaves behind one that came later, or twice", n, l.key)
		}
	}
	return nil // injected beside
}

// laneOf is a packet's lane and number, of those that a processor can tell the flow of.
func laneOf(outbound bool, data []byte) (l lane, number uint32, ok bool) {
	var h wire.Headers
	if !wire.Parse(data, &h) || h.Fragment || h.Transport == wire.NoTransport || h.PayloadLen() < 4 {
		return l, 0, false
	}
	if _, ok = h.ReadFlow(data, &l.key); !ok {
		return l, 0, false
	}
	number = binary.BigEndian.Uint32(h.Payload(data))
	l.outbound = outbound
	return l, number, number < injectedFrom
}

// counts compares what the processor counts with what its callouts know.
func (s *site) counts() {
	st := s.processor.Stats()
	c := &s.world.result.Counts
	c.Held += st.Held
	c.Parked += st.Parked
	c.Deferred += st.Deferred
	c.DeferRefused += st.DeferRefused
	c.Panics += st.Panics
	c.Inline += s.inline
	s.world.note("%s: %+v", s.name, st)
	if st.Panics != s.panics {
		s.world.fail("%s: the processor counts %d panics of callouts, there were %d", s.name, st.Panics, s.panics)
	}
	var refused uint64
	for _, j := range s.processor.Injectors() {
		is := j.Stats()
		refused += is.Refused
		if is.Pending != 0 || is.Injected != is.Completed+is.Failed {
			s.world.fail("%s: injections are not conserved: %+v", s.name, is)
		}
	}
	if refused != s.inline {
		s.world.fail("%s: injectors count %d refusals of inline TCP, there were %d", s.name, refused, s.inline)
	}
	if s.accepted != s.done {
		s.world.fail("%s: %d injections were accepted, %d completed", s.name, s.accepted, s.done)
	}
}

// law: all that came to the host, or was injected there, left it or is accounted for.
func (s *site) law() {
	st := s.sim.Stats()
	in, out := st.Entered+st.Wholes, st.Left+st.Fragments
	for _, h := range s.handles {
		of := h.Stats()
		s.world.note("%s: a handle: %s", s.name, counts(&of))
		if err := of.Conserved(); err != nil {
			s.world.fail("%s: %v", s.name, err)
		}
		if of.Held+of.InBatch != 0 {
			s.world.fail("%s: a closed handle has %d packets", s.name, of.Held+of.InBatch)
		}
		s.world.result.Counts.Refused += of.Dropped[reason.Fault]
		if of.Dropped[reason.Fault] > 0 && !s.mayRefuse && !s.mayDie {
			s.world.fail("%s: the driver refuses packets by itself", s.name)
		}
		in += of.Completed
		out += of.DroppedTotal() + of.Lost
	}
	if st.Refused+st.Oversize+st.Turned != 0 {
		s.world.fail("%s: the host refused packets: %+v", s.name, st)
	}
	if in != out {
		s.world.fail("%s: %d packets came or were injected, %d are accounted for", s.name, in, out)
	}
}

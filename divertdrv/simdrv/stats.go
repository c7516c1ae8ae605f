package simdrv

// Stats counts the packets of the whole host. All that entered, was injected or was made whole is at every moment queued,
// received and not yet judged, dropped, lost, or in Left, Refused or Fragments.
type Stats struct {
	Entered   uint64 // sent, received, looped, forwarded, or made by the Source; what turns out to be for others enters twice
	Left      uint64 // given to OnWire or OnHost, or led on to the forward layer
	Refused   uint64 // did not fit the wire
	Oversize  uint64 // of those that entered: over divertdrv.MTUMax, so no handle was asked
	Turned    uint64 // not let in: after End or Close, or too many at once
	Fragments uint64 // of inbound packets: they wait for the rest, were joined or dropped
	Wholes    uint64 // packets that fragments were joined to

	Cut      uint64 // of those that left: in fragments, since they were too long for their interface
	TooBig   uint64 // of those refused: may not be cut; a router would answer with ICMP
	HopLimit uint64 // of those refused: forwarded too often; a router would answer with ICMP

	Flows        int    // followed now, those that are being opened included
	FlowsEvicted uint64 // given up, since FlowsMax were followed
	Sockets      int    // open now
}

// Stats returns a snapshot.
func (s *Stack) Stats() Stats {
	e := s.engine.Stats()
	st := Stats{
		Entered: e.Entered, Left: e.Left, Refused: e.Refused, Oversize: e.Oversize, Turned: e.Turned,
		Fragments: e.Fragments, Wholes: e.Wholes,
	}
	s.engine.Do(func() {
		st.Cut, st.TooBig, st.HopLimit = s.exit.stats.cut, s.exit.stats.tooBig, s.exit.stats.hops
		st.Flows, st.FlowsEvicted, st.Sockets = s.flows.table.Len(), s.flows.table.Evicted(), len(s.sockets.byID)
	})
	return st
}

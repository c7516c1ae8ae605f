package netstack

// Stats counts what TCP did, retransmissions included: they tell how rough the way was.
type Stats struct {
	SegmentsIn, SegmentsOut uint64
	Retransmits, Timeouts   uint64 // segments that were sent again; and of the timers that had that done
	ChecksumErrors          uint64 // segments that were damaged on the way
	NoRoom                  uint64 // packets that found no room on their way to Out
}

// Stats returns a snapshot.
func (h *Host) Stats() Stats {
	t, n := h.stack.Stats().TCP, h.stack.Stats().NICs
	return Stats{
		SegmentsIn: t.ValidSegmentsReceived.Value(), SegmentsOut: t.SegmentsSent.Value(),
		Retransmits: t.Retransmits.Value(), Timeouts: t.Timeouts.Value(),
		ChecksumErrors: t.ChecksumErrors.Value(),
		NoRoom:         n.TxPacketsDroppedNoBufferSpace.Value(),
	}
}

package divertdrv

// Judging a flow leaves the rest of it to the driver's part in the kernel: its packets go on there, as if each were received and
// passed, and nobody sees them here. Stats.CutThrough counts them.
//
// Order is kept: while a packet of the flow that was received, or is on its way here, has not gone on, the later ones are
// received too. So a judgement takes effect when the flow's packets pause for a moment.
//
// A judgement ends by Recall, by RecallAll, with Close, and by itself when the flow ends or is silent: a TCP packet with SYN, FIN
// or RST is always received and ends it; so does a minute or two without a packet.

// Era numbers the time between two calls of RecallAll. Who decides by rules that may be replaced reads Era before it reads the
// rules, and judges by that.
func (h *Handle) Era() uint64 {
	if c := h.cutThrough(); c != nil {
		return c.Era()
	}
	return 0
}

// Judge has the packets of a TCP or UDP flow, of both directions, go on in the kernel from now on. It must not be asked for a flow
// whose packets are changed: those that are not received are not. Judging again is harmless. It takes a system call.
//
// Errors: ErrUnsupported, where Caps have no CutThrough and for other protocols; ErrJudgedFull, which Stats.JudgeRefused counts;
// ErrClosed. Without an error, a judgement of an era that is over has no effect.
func (h *Handle) Judge(k FlowKey, era uint64) error {
	c := h.cutThrough()
	switch {
	case c == nil:
		return h.opError("judge", ErrUnsupported)
	case h.closed.Load():
		return h.opError("judge", ErrClosed)
	}
	return h.opError("judge", c.Judge(k, era))
}

// Recall has the packets of a flow received again. A flow that is not judged is none the worse for it.
func (h *Handle) Recall(k FlowKey) error {
	c := h.cutThrough()
	if c == nil || h.closed.Load() {
		return nil
	}
	return h.opError("recall", c.Recall(k))
}

// RecallAll has the packets of all flows received again, at once, and begins a new era: what is judged by the old one from here
// on has no effect.
func (h *Handle) RecallAll() error {
	c := h.cutThrough()
	if c == nil || h.closed.Load() {
		return nil
	}
	return h.opError("recall", c.RecallAll())
}

func (h *Handle) cutThrough() CutThrough {
	if !h.caps.CutThrough {
		return nil
	}
	c, _ := as[CutThrough](h.conn)
	return c
}

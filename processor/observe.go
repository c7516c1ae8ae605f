package processor

import "github.com/weirnet/weir/divertdrv"

// Observer looks at live packets while they are judged. Workers call it at the same time, and packets wait for it: it must not
// block, nor keep or change what it is given. handle is the place of the packet's handle in Config.Handles.
type Observer interface {
	// Wants says, before a packet is judged, whether to write down how it comes to its verdict, which takes some microseconds.
	Wants(handle int, p *divertdrv.Packet) bool
	// Judged is called for every packet before it goes on. Callouts may have changed it. x is nil if it was not wanted.
	Judged(handle int, p *divertdrv.Packet, o Outcome, x *Explanation)
}

// Observe has o look at packets from the next batches on, in place of who did before; nil: nobody, which costs nothing.
func (p *Processor) Observe(o Observer) {
	if o == nil {
		p.observer.Store(nil)
		return
	}
	p.observer.Store(&o)
}

// observe prepares for a packet that somebody wants to know about.
func (w *worker) observe(p *divertdrv.Packet) {
	if w.observer != nil && (*w.observer).Wants(w.handle, p) {
		w.trace = &tracer{e: &Explanation{Packet: Describe(p), Layers: []LayerExplanation{}}}
	}
}

// observed tells what became of it.
func (w *worker) observed(p *divertdrv.Packet, r result, f *Flow) {
	if w.observer == nil {
		return
	}
	t := w.trace
	w.trace = nil
	var x *Explanation
	if t != nil {
		t.result(r, f)
		x = t.e
	}
	(*w.observer).Judged(w.handle, p, outcome(p, r), x)
}

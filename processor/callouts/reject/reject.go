// Package reject is the callout that blocks TCP segments and answers them with a RST, so that neither end waits for nothing.
package reject

import (
	"sync/atomic"

	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/inject"
	"github.com/weirnet/weir/inject/craft"
	"github.com/weirnet/weir/processor"
)

// Type is what policies call it.
const Type = "reject"

// Config says who is told.
type Config struct {
	To string `yaml:"to" oneof:"sender receiver both"` // empty: sender
}

// Callout blocks what it is shown. It may be shown packets by any number of workers at a time.
type Callout struct {
	name             string
	sender, receiver bool

	answered, failed, refused, unanswerable, noRights atomic.Uint64
}

// New returns a callout that answers as c says; a word that it does not know counts as sender.
func New(name string, c Config) *Callout {
	return &Callout{name: name, sender: c.To != "receiver", receiver: c.To == "receiver" || c.To == "both"}
}

// Factory makes one for a policy.
func Factory(name string, decode func(into any) error) (processor.Callout, error) {
	var c Config
	if err := decode(&c); err != nil {
		return nil, err
	}
	return New(name, c), nil
}

// Name returns the name that the policy gives it.
func (c *Callout) Name() string { return c.name }

// Classify blocks the packet, hard and silently, and answers it.
func (c *Callout) Classify(cl *processor.Classification) processor.Verdict {
	if cl.Rights&processor.RightActionWrite == 0 {
		// Somebody above decided for good. Blocking is a veto, which is allowed; speaking in the packet's name is not.
		c.noRights.Add(1)
	} else {
		c.answer(cl)
	}
	return processor.Verdict{Action: processor.Block, Hard: true, Absorb: true, Cause: reason.Rejected}
}

// answer crafts what is to be sent while the packet is there, and leaves sending it to a DPC: TCP must not be injected from a
// transport layer's classification.
func (c *Callout) answer(cl *processor.Classification) {
	p, h := cl.Packet, cl.Headers()
	var answers [2]inject.Injection
	n := 0
	if c.sender {
		if rst, err := craft.ResetToSender(p.Data, h); err == nil {
			answers[n] = inject.AnswerTo(p, rst, inject.ToSender)
			n++
		}
	}
	if c.receiver {
		if rst, err := craft.ResetToReceiver(p.Data, h); err == nil {
			answers[n] = inject.AnswerTo(p, rst, inject.ToReceiver)
			n++
		}
	}
	switch {
	case n == 0:
		c.unanswerable.Add(1)
	case !cl.Defer(func(d *processor.Deferred) { c.send(d, answers[:n]) }):
		c.refused.Add(1)
	}
}

func (c *Callout) send(d *processor.Deferred, answers []inject.Injection) {
	for i := range answers {
		if err := d.Inject(answers[i]); err != nil {
			c.failed.Add(1)
		} else {
			c.answered.Add(1)
		}
	}
}

// Stats counts what it did. Every packet that it was shown was blocked.
type Stats struct {
	Answered     uint64 `json:"answered"`     // RSTs that were sent
	Failed       uint64 `json:"failed"`       // RSTs that the driver refused
	Refused      uint64 `json:"refused"`      // packets not answered for want of room to defer the answer
	Unanswerable uint64 `json:"unanswerable"` // packets that no RST can answer: a RST, a fragment, another protocol than TCP
	NoRights     uint64 `json:"no_rights"`    // packets that were blocked without an answer because the right was cleared
}

// Stats returns a snapshot.
func (c *Callout) Stats() Stats {
	return Stats{
		Answered: c.answered.Load(), Failed: c.failed.Load(), Refused: c.refused.Load(),
		Unanswerable: c.unanswerable.Load(), NoRights: c.noRights.Load(),
	}
}

// Counters reports what Stats does, name by name.
func (c *Callout) Counters(yield func(name string, n uint64) bool) {
	s := c.Stats()
	names := [...]string{"answered", "failed", "refused", "unanswerable", "no_rights"}
	for i, n := range [...]uint64{s.Answered, s.Failed, s.Refused, s.Unanswerable, s.NoRights} {
		if !yield(names[i], n) {
			return
		}
	}
}

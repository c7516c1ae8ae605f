// Package reject is the callout that blocks packets and answers them, TCP with a RST and others with an ICMP error, so that neither
// end waits for nothing.
package reject

import (
	"net/netip"
	"sync/atomic"

	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/inject"
	"github.com/weirnet/weir/inject/craft"
	"github.com/weirnet/weir/processor"
)

// Type is what policies call it.
const Type = "reject"

// Config says who is told, and what.
type Config struct {
	To   string `yaml:"to" oneof:"sender receiver both" default:"sender"` // of TCP; empty: sender
	ICMP string `yaml:"icmp" oneof:"port-unreachable host-unreachable no-route admin-prohibited none" default:"port-unreachable"`
	Rate int    `yaml:"rate" min:"1" max:"1000000" default:"1000"` // ICMP errors a second; 0: craft.RateDefault
}

// whys are the words of Config.ICMP; empty is port-unreachable.
var whys = map[string]craft.Why{
	"": craft.PortUnreachable, "port-unreachable": craft.PortUnreachable, "host-unreachable": craft.HostUnreachable,
	"no-route": craft.NoRoute, "admin-prohibited": craft.Prohibited,
}

// Callout blocks what it is shown. It may be shown packets by any number of workers at a time.
type Callout struct {
	name             string
	sender, receiver bool
	errors           bool // ICMP errors are sent
	why              craft.Why
	limiter          *craft.Limiter

	answered, unreachable, limited, failed, refused, unanswerable, noRights atomic.Uint64
}

// New returns a callout that answers as c says; a word that it does not know counts as none given.
func New(name string, c Config) *Callout {
	return &Callout{
		name: name, sender: c.To != "receiver", receiver: c.To == "receiver" || c.To == "both",
		errors: c.ICMP != "none", why: whyOf(c.ICMP), limiter: craft.NewLimiter(c.Rate, 0),
	}
}

func whyOf(word string) craft.Why {
	if w, ok := whys[word]; ok {
		return w
	}
	return craft.PortUnreachable
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
// transport layer's classification, and so answers leave behind what passed before.
func (c *Callout) answer(cl *processor.Classification) {
	var answers [2]inject.Injection
	sent, n := &c.answered, 0
	if cl.Headers().Proto == wire.ProtoTCP {
		n = c.resets(cl, &answers)
	} else {
		sent = &c.unreachable
		if n = c.icmpError(cl, &answers); n < 0 {
			c.limited.Add(1)
			return
		}
	}
	switch {
	case n == 0:
		c.unanswerable.Add(1)
	case !cl.Defer(func(d *processor.Deferred) { c.send(d, answers[:n], sent) }):
		c.refused.Add(1)
	}
}

// resets crafts the RSTs that answer a segment; 0: none can.
func (c *Callout) resets(cl *processor.Classification, answers *[2]inject.Injection) (n int) {
	p, h := cl.Packet, cl.Headers()
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
	return n
}

// icmpError crafts the error that tells the packet's sender; 0: there may be none about it, -1: there were too many already.
func (c *Callout) icmpError(cl *processor.Classification, answers *[2]inject.Injection) int {
	if !c.errors {
		return 0
	}
	p := cl.Packet
	told, err := craft.Unreachable(p.Data, cl.Headers(), netip.Addr{}, c.why)
	if err != nil {
		return 0
	}
	if !c.limiter.Allow(cl.Now()) {
		return -1
	}
	answers[0] = inject.AnswerTo(p, told, inject.ToSender)
	return 1
}

func (c *Callout) send(d *processor.Deferred, answers []inject.Injection, sent *atomic.Uint64) {
	for i := range answers {
		if err := d.Inject(answers[i]); err != nil {
			c.failed.Add(1)
		} else {
			sent.Add(1)
		}
	}
}

// Stats counts what it did. Every packet that it was shown was blocked.
type Stats struct {
	Answered     uint64 `json:"answered"`     // RSTs that were sent
	Unreachable  uint64 `json:"unreachable"`  // ICMP errors that were sent
	Limited      uint64 `json:"limited"`      // packets not answered because of too many ICMP errors already
	Failed       uint64 `json:"failed"`       // answers that the driver refused
	Refused      uint64 `json:"refused"`      // packets not answered for want of room to defer the answer
	Unanswerable uint64 `json:"unanswerable"` // packets that may not, or are not to, be answered: a RST, an ICMP error, a multicast
	NoRights     uint64 `json:"no_rights"`    // packets that were blocked without an answer because the right was cleared
}

// Stats returns a snapshot.
func (c *Callout) Stats() Stats {
	return Stats{
		Answered: c.answered.Load(), Unreachable: c.unreachable.Load(), Limited: c.limited.Load(), Failed: c.failed.Load(), Refused: c.refused.Load(),
		Unanswerable: c.unanswerable.Load(), NoRights: c.noRights.Load(),
	}
}

// Counters reports what Stats does, name by name.
func (c *Callout) Counters(yield func(name string, n uint64) bool) {
	s := c.Stats()
	names := [...]string{"answered", "unreachable", "limited", "failed", "refused", "unanswerable", "no_rights"}
	for i, n := range [...]uint64{s.Answered, s.Unreachable, s.Limited, s.Failed, s.Refused, s.Unanswerable, s.NoRights} {
		if !yield(names[i], n) {
			return
		}
	}
}

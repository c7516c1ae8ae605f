// Package rewrite is the callout that changes addresses, ports, the TTL and payload bytes of packets in place. The length of a
// packet does not change. Checksums are made good, but a packet that was corrupt before stays corrupt.
package rewrite

import (
	"bytes"
	"sync/atomic"

	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/processor"
)

// Type is what policies call it.
const Type = "rewrite"

// Callout rewrites what it is shown, by its Config. It may be shown packets by any number of workers at a time.
type Callout struct {
	name    string
	config  Config
	payload *edit // nil: stays
	permits bool
	outcome [outcomes]atomic.Uint64
}

// outcome is what became of one packet.
type outcome uint8

const (
	rewritten   outcome = iota
	noRights            // the right to change it is cleared
	wrongFamily         // the address is of the other family, or it is no IP packet
	noPorts             // ports are asked for, and it has none: another protocol, or a fragment, whose datagram would fall apart
	noPayload           // the payload is asked for, and it is not whole here, or not as asked
	outcomes
)

// New returns a callout that rewrites by c. The error says what in c does not go together.
func New(name string, c Config) (*Callout, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	payload, err := c.Payload.compile()
	if err != nil {
		return nil, err
	}
	return &Callout{name: name, config: c, payload: payload, permits: c.Verdict == "permit"}, nil
}

// Factory makes one for a policy.
func Factory(name string, decode func(into any) error) (processor.Callout, error) {
	var c Config
	if err := decode(&c); err != nil {
		return nil, err
	}
	callout, err := New(name, c)
	if err != nil {
		return nil, err
	}
	return callout, nil
}

// Name returns the name that the policy gives it.
func (c *Callout) Name() string { return c.name }

// Classify rewrites the packet wholly, or, where a part of the change does not fit it, not at all.
func (c *Callout) Classify(cl *processor.Classification) processor.Verdict {
	h := *cl.Headers()
	what, at := c.fits(cl, &h)
	c.outcome[what].Add(1)
	if what != rewritten {
		return processor.Verdict{}
	}
	data := cl.Packet.Edit()
	c.setHeaders(data, &h)
	if c.payload != nil {
		c.payload.apply(data[h.PayloadOff:h.Len], at)
	}
	if c.permits {
		return processor.Verdict{Action: processor.Permit}
	}
	return processor.Verdict{}
}

// fits says whether all of the change can be made, and where in the payload.
func (c *Callout) fits(cl *processor.Classification, h *wire.Headers) (what outcome, at int) {
	f := &c.config
	addr := f.SrcAddr
	if !addr.IsValid() {
		addr = f.DstAddr
	}
	switch {
	case cl.Rights&processor.RightActionWrite == 0:
		return noRights, 0
	case h.Version == 0 || addr.IsValid() && addr.Unmap().Is4() != (h.Version == 4):
		return wrongFamily, 0
	case (f.SrcPort != 0 || f.DstPort != 0) && (h.Fragment || h.Transport != wire.TCP && h.Transport != wire.UDP):
		return noPorts, 0
	case c.payload == nil:
		return rewritten, 0
	case h.Transport == wire.NoTransport || h.Fragment:
		return noPayload, 0
	}
	if at = c.payload.locate(cl.Packet.Data[h.PayloadOff:h.Len]); at < 0 {
		return noPayload, 0
	}
	return rewritten, at
}

// setHeaders changes header fields and the checksums with them. The first fragment of a datagram has the checksum of all of it,
// which so stays right when every fragment gets the same change.
func (c *Callout) setHeaders(data []byte, h *wire.Headers) {
	f := &c.config
	if f.SrcAddr.IsValid() {
		wire.SetSrcAddr(data, h, f.SrcAddr)
	}
	if f.DstAddr.IsValid() {
		wire.SetDstAddr(data, h, f.DstAddr)
	}
	if f.SrcPort != 0 {
		wire.SetSrcPort(data, h, f.SrcPort)
	}
	if f.DstPort != 0 {
		wire.SetDstPort(data, h, f.DstPort)
	}
	if f.TTL != 0 {
		wire.SetTTL(data, h, f.TTL)
	}
}

// locate returns the first place to change, -1 if there is none.
func (e *edit) locate(payload []byte) int {
	if e.find != nil {
		return bytes.Index(payload, e.find)
	}
	if e.offset+len(e.put) > len(payload) {
		return -1
	}
	return e.offset
}

// apply changes the place at, and those behind it if all are meant.
func (e *edit) apply(payload []byte, at int) {
	for at >= 0 {
		payload = payload[at+copy(payload[at:], e.put):]
		if !e.all {
			return
		}
		at = bytes.Index(payload, e.find)
	}
}

// Stats counts packets by what became of them.
type Stats struct {
	Rewritten   uint64 `json:"rewritten"`
	NoRights    uint64 `json:"no_rights"`    // the right to change them was cleared
	WrongFamily uint64 `json:"wrong_family"` // the address is of the other family
	NoPorts     uint64 `json:"no_ports"`     // they have no ports: another protocol, or fragments
	NoPayload   uint64 `json:"no_payload"`   // what to find is not there, or the payload is too short or in fragments
}

// Stats returns a snapshot.
func (c *Callout) Stats() Stats {
	n := func(o outcome) uint64 { return c.outcome[o].Load() }
	return Stats{
		Rewritten: n(rewritten), NoRights: n(noRights), WrongFamily: n(wrongFamily), NoPorts: n(noPorts), NoPayload: n(noPayload),
	}
}

// Counters reports what Stats does, name by name.
func (c *Callout) Counters(yield func(name string, n uint64) bool) {
	for o, name := range [outcomes]string{"rewritten", "no_rights", "wrong_family", "no_ports", "no_payload"} {
		if !yield(name, c.outcome[o].Load()) {
			return
		}
	}
}

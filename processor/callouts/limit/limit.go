// Package limit is the callout that lets so many packets or bytes a second go on, and blocks or marks the rest.
package limit

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/processor"
)

// Type is what policies call it.
const Type = "limit"

// Config says how much may go on, and what becomes of the rest. Exactly one of Packets and Bytes is given.
type Config struct {
	Packets uint64 `yaml:"packets" min:"1" max:"10000000000"`               // a second
	Bytes   uint64 `yaml:"bytes" min:"1" max:"10000000000"`                 // a second, from the IP header on
	Burst   uint64 `yaml:"burst" min:"1" max:"10000000000"`                 // at once, of the same unit; 0: those of a second, but one packet of any size
	Per     string `yaml:"per" oneof:"policy flow source" default:"policy"` // what has a limit of its own; empty: policy, all together
	Table   int    `yaml:"table" min:"8" max:"1048576"`                     // flows or sources that are told apart; 0: TableDefault
	Exceed  string `yaml:"exceed" oneof:"block mark" default:"block"`       // empty: block
	DSCP    *uint8 `yaml:"dscp" max:"63"`                                   // with mark: what the packets get
}

// What Config.Table may be. A flow or source takes 64 bytes.
const (
	TableDefault = 4096
	TableMax     = 1 << 20
)

// Callout limits what it is shown, all filters that name it together. It may be shown packets by any number of workers at a time.
type Callout struct {
	name  string
	bytes bool
	per   string
	mark  bool
	dscp  uint8
	table *table

	conformed, blocked, marked, shared, noRights atomic.Uint64
}

// New returns a callout whose buckets are full. The error names what in c cannot be.
func New(name string, c Config) (*Callout, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	r := rate{perSecond: c.Packets + c.Bytes, burst: c.Burst}
	if r.burst == 0 {
		r.burst = r.perSecond
		if c.Bytes > 0 {
			r.burst = max(r.burst, divertdrv.MTUMax)
		}
	}
	if c.Table == 0 {
		c.Table = TableDefault
	}
	if c.Per == "" || c.Per == perPolicy {
		c.Per, c.Table = perPolicy, 1
	}
	x := &Callout{name: name, bytes: c.Bytes > 0, per: c.Per, mark: c.Exceed == exceedMark, table: newTable(r, c.Table)}
	if c.DSCP != nil {
		x.dscp = *c.DSCP
	}
	return x, nil
}

const (
	perPolicy, perFlow, perSource = "policy", "flow", "source"
	exceedMark                    = "mark"
)

func (c *Config) check() error {
	switch {
	case (c.Packets == 0) == (c.Bytes == 0):
		return errors.New("a limit is in packets or in bytes a second; give one of packets and bytes")
	case c.Packets > rateMax || c.Bytes > rateMax || c.Burst > rateMax || c.Table < 0 || c.Table > TableMax:
		return fmt.Errorf("rates and burst are at most %d, the table at most %d", uint64(rateMax), TableMax)
	case c.Exceed == exceedMark && c.DSCP == nil:
		return errors.New("exceed: mark needs the code point that packets get; give dscp, 0 to 63")
	case c.Exceed != exceedMark && c.DSCP != nil:
		return errors.New("dscp belongs to exceed: mark; remove it, or mark what exceeds")
	case c.DSCP != nil && *c.DSCP > 63:
		return fmt.Errorf("dscp %d, want 0 to 63", *c.DSCP)
	case c.Table != 0 && (c.Per == "" || c.Per == perPolicy):
		return errors.New("table belongs to per: flow and per: source; remove it, or tell them apart")
	}
	return nil
}

// Factory makes one for a policy.
func Factory(name string, decode func(into any) error) (processor.Callout, error) {
	var cfg Config
	if err := decode(&cfg); err != nil {
		return nil, err
	}
	c, err := New(name, cfg)
	if err != nil {
		return nil, err // not a nil *Callout that looks like one
	}
	return c, nil
}

// Name returns the name that the policy gives it.
func (c *Callout) Name() string { return c.name }

// Classify lets the packet go on to the next filter if there are tokens for it.
func (c *Callout) Classify(cl *processor.Classification) processor.Verdict {
	if cl.Rights&processor.RightActionWrite == 0 {
		c.noRights.Add(1) // somebody above decided for good; a limit does not overrule that
		return processor.Verdict{}
	}
	if c.take(cl) {
		c.conformed.Add(1)
		return processor.Verdict{}
	}
	if c.mark && setDSCP(cl.Packet, c.dscp) {
		c.marked.Add(1)
		return processor.Verdict{}
	}
	c.blocked.Add(1)
	return processor.Verdict{Action: processor.Block, Hard: true, Cause: reason.Limited}
}

// take takes the packet's tokens from its bucket.
func (c *Callout) take(cl *processor.Classification) bool {
	n := uint64(1)
	if c.bytes {
		n = uint64(len(cl.Packet.Data))
	}
	var key wire.FlowKey
	if c.per == perPolicy {
		return c.table.takeShared(n, cl.Now())
	}
	if !c.keyOf(cl, &key) {
		c.shared.Add(1)
		return c.table.takeShared(n, cl.Now())
	}
	ok, alone := c.table.take(&key, n, cl.Now())
	if !alone {
		c.shared.Add(1)
	}
	return ok
}

// keyOf names what the packet's bucket is for; false: the packet cannot be decoded.
func (c *Callout) keyOf(cl *processor.Classification, key *wire.FlowKey) bool {
	h := cl.Headers()
	if c.per == perFlow {
		_, ok := h.ReadFlow(cl.Packet.Data, key)
		return ok
	}
	src, _, ok := h.Endpoints(cl.Packet.Data)
	src.Port = 0
	key.Set(src, wire.Endpoint{}, 0, h.Version)
	return ok
}

// setDSCP writes the code point and leaves ECN as it is; false: the packet has none.
func setDSCP(p *divertdrv.Packet, dscp uint8) bool {
	switch version := p.Headers().Version; version {
	case 4:
		h := (*wire.IPv4Header)(p.Edit())
		h.SetTOS(dscp<<2 | h.TOS()&3)
	case 6:
		h := (*wire.IPv6Header)(p.Edit())
		h.SetTrafficClass(dscp<<2 | h.TrafficClass()&3)
	default:
		return false
	}
	return true
}

// Stats counts what it did: shown = conformed + blocked + marked + no_rights.
type Stats struct {
	Conformed uint64 `json:"conformed"` // packets that were within the limit
	Blocked   uint64 `json:"blocked"`   // packets beyond it that were blocked
	Marked    uint64 `json:"marked"`    // packets beyond it that were marked
	NoRights  uint64 `json:"no_rights"` // packets that were not limited because the right was cleared
	Shared    uint64 `json:"shared"`    // packets that had no limit of their own: the table had no room, or they cannot be decoded
}

// Stats returns a snapshot.
func (c *Callout) Stats() Stats {
	return Stats{
		Conformed: c.conformed.Load(), Blocked: c.blocked.Load(), Marked: c.marked.Load(),
		NoRights: c.noRights.Load(), Shared: c.shared.Load(),
	}
}

// Counters reports what Stats does, name by name.
func (c *Callout) Counters(yield func(name string, n uint64) bool) {
	s := c.Stats()
	names := [...]string{"conformed", "blocked", "marked", "no_rights", "shared"}
	for i, n := range [...]uint64{s.Conformed, s.Blocked, s.Marked, s.NoRights, s.Shared} {
		if !yield(names[i], n) {
			return
		}
	}
}

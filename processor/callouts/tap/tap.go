// Package tap is the callout that writes the packets which it is shown, and what becomes of them, into a pcapng file.
package tap

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/processor"
)

// Type is what policies call it.
const Type = "tap"

// Config says what is written, and where.
type Config struct {
	Write   string `yaml:"write,required" path:"write"`                     // the pcapng file; one that is there is written anew
	Records string `yaml:"records" oneof:"both seen judged" default:"both"` // empty: both
	Queue   int    `yaml:"queue" min:"1" max:"65536" default:"1024"`        // records that may wait for the disk; 0: QueueDefault
	Snap    int    `yaml:"snap" min:"1" max:"65575" default:"65575"`        // bytes of a packet that are kept; 0: all
}

// What Config.Queue may be.
const (
	QueueDefault = 1024
	QueueMax     = 1 << 16
)

// Callout writes what it is shown. It may be shown packets by any number of workers at a time.
//
//	1 Classify   queues the packet as it is shown                     any worker
//	2 Followed   queues it as it is judged, with the verdict          any worker
//	3 write      takes what is queued and writes it      write.go     a goroutine, from Start to Close
//
// A disk that is slower than the packets holds none of them up: what finds the queue full is not written, and counted. Until
// Start and after Close nothing is written.
type Callout struct {
	name         string
	cfg          Config
	seen, judged bool
	epoch        time.Time

	ids, shown, cut, written, unwritten atomic.Uint64

	queue queue

	mu     sync.Mutex // guards all below; taken by Start and Close only
	file   *os.File   // nil: not started, or closed
	gone   chan struct{}
	failed error // what write met; valid when gone is closed
	broken func(error)
}

// New returns a callout that has no file yet. The error names what in cfg cannot be.
func New(name string, cfg Config) (*Callout, error) {
	if cfg.Queue == 0 {
		cfg.Queue = QueueDefault
	}
	if cfg.Snap == 0 {
		cfg.Snap = divertdrv.MTUMax
	}
	switch {
	case cfg.Write == "":
		return nil, errors.New("there is no file to write; name one with write")
	case cfg.Queue < 1 || cfg.Queue > QueueMax || cfg.Snap < 1 || cfg.Snap > divertdrv.MTUMax:
		return nil, fmt.Errorf("queue %d (1 to %d), snap %d (1 to %d)", cfg.Queue, QueueMax, cfg.Snap, divertdrv.MTUMax)
	}
	return &Callout{
		name: name, cfg: cfg, seen: cfg.Records != "judged", judged: cfg.Records != "seen", epoch: time.Now(),
	}, nil
}

// Factory makes one for a policy. It opens nothing.
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

// Path is the file that Start makes.
func (c *Callout) Path() string { return c.cfg.Write }

// Classify notes the packet as it is, and decides nothing.
func (c *Callout) Classify(cl *processor.Classification) processor.Verdict {
	c.shown.Add(1)
	a := cl.Packet.Addr
	id := c.ids.Add(1)
	if c.seen {
		c.note(entry{
			kind: seen, id: id, time: sinceEpoch(a.Timestamp), outbound: a.Outbound(),
			layer: cl.Layer, filter: cl.Filter, cause: cl.Cause,
		}, cl.Packet.Data)
	}
	if !c.judged {
		return processor.Verdict{}
	}
	return processor.Verdict{Follow: c.ticket(id)}
}

// Followed notes the packet as it is when it was judged.
func (c *Callout) Followed(n uint64, o processor.Outcome) {
	id, took := c.punch(n)
	c.note(entry{
		kind: judged, id: id, time: sinceEpoch(o.Addr.Timestamp) + took, took: took, outbound: o.Addr.Outbound(),
		fate: o.Fate, layer: o.Layer, filter: o.Filter, cause: o.Cause,
	}, o.Data)
}

func (c *Callout) note(e entry, data []byte) {
	e.length = len(data)
	if len(data) > c.cfg.Snap {
		data = data[:c.cfg.Snap]
		c.cut.Add(1)
	}
	if !c.queue.add(&e, data) {
		c.unwritten.Add(1)
	}
}

// A ticket has the low bits of a packet's number and, above them, when it was shown. Between Classify and Followed there are few
// packets, so the rest of the number is known; the time suffices for 18 minutes.
const (
	idBits   = 24
	timeBits = 64 - idBits
)

func (c *Callout) ticket(id uint64) uint64 {
	return c.now()<<idBits | id&(1<<idBits-1)
}

// now is from 1, since 0 is no ticket: where the clock has coarse ticks, as on Windows, it stands at the epoch for a while.
func (c *Callout) now() uint64 { return uint64(time.Since(c.epoch)) + 1 }

// punch reads a ticket: the packet's number, and how long ago it was shown, in nanoseconds.
func (c *Callout) punch(ticket uint64) (id uint64, took int64) {
	latest := c.ids.Load()
	id = latest - (latest-ticket)&(1<<idBits-1)
	return id, int64((c.now() - ticket>>idBits) & (1<<timeBits - 1))
}

// notSinceEpoch is a time that is none since the Unix epoch: before 1973 there were no packets, and ticks since a start stay
// below it.
const notSinceEpoch = 1e17

// sinceEpoch is a driver's time, or the system's where the driver counts from another moment.
func sinceEpoch(stamp int64) int64 {
	if stamp < notSinceEpoch {
		return time.Now().UnixNano()
	}
	return stamp
}

// Stats counts what it did. When it is closed, records = written + unwritten, where a packet makes one or two records.
type Stats struct {
	Shown     uint64 `json:"shown"`     // packets
	Written   uint64 `json:"written"`   // records in the file
	Unwritten uint64 `json:"unwritten"` // records that are not: the queue was full, the disk failed, or it was not started
	Cut       uint64 `json:"cut"`       // records of packets longer than snap
}

// Stats returns a snapshot.
func (c *Callout) Stats() Stats {
	return Stats{Shown: c.shown.Load(), Written: c.written.Load(), Unwritten: c.unwritten.Load(), Cut: c.cut.Load()}
}

// Counters reports what Stats does, name by name.
func (c *Callout) Counters(yield func(name string, n uint64) bool) {
	s := c.Stats()
	names := [...]string{"shown", "written", "unwritten", "cut"}
	for i, n := range [...]uint64{s.Shown, s.Written, s.Unwritten, s.Cut} {
		if !yield(names[i], n) {
			return
		}
	}
}

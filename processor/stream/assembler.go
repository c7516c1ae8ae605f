package stream

import (
	"time"

	"github.com/weirnet/weir/divertdrv/wire"
)

// Direction says who speaks.
type Direction uint8

// The directions.
const (
	FromOpener Direction = iota // who sent the SYN; where that was not seen, who sent the first packet
	ToOpener
)

// String returns "from opener" or "to opener".
func (d Direction) String() string { return [...]string{"from opener", "to opener"}[d&1] }

// End is why a connection is read no more.
type End uint8

// The ends.
const (
	Finished End = iota // both directions: to the FIN, or as far as the reader wanted
	Reset               // a RST
	Replaced            // a new connection between the same ports
	Idle                // silent for longer than Config.Idle
	Evicted             // the table was full, and it was not used lately
	Stopped             // Close
)

// String returns the end in lower case.
func (e End) String() string {
	return [...]string{"finished", "reset", "replaced", "idle", "evicted", "stopped"}[min(e, Stopped)]
}

// Reader reads one connection. It is called during Add, Tick and Close, and must call none of them.
type Reader interface {
	// Data has the next bytes of one direction. lost: so many before them did not come, modulo 2^32. b is valid during the call and
	// must not be changed. false: the direction is to be read no further.
	Data(d Direction, lost uint32, b []byte) (more bool)
	// Closed is called once, when nothing will follow.
	Closed(why End)
}

// Conn says which connection begins.
type Conn struct {
	Opener, Other wire.Endpoint
	Midstream     bool // its beginning was not seen: its first byte is the first that came
}

// Config bounds an Assembler; each zero stands for the default.
type Config struct {
	Conns int           // connections that are known at a time, some 170 bytes each; 16,384
	Bytes int           // of memory for what waits, in all; 16 MiB, taken as it is first needed
	Each  int           // of that, for one direction of one connection; 1 MiB
	Wait  time.Duration // how long a gap may stay open; 2 s
	Idle  time.Duration // how long a connection may be silent; 5 min
}

func (c Config) filled() Config {
	fill := func(v *int, def int) {
		if *v <= 0 {
			*v = def
		}
	}
	fill(&c.Conns, 1<<14)
	fill(&c.Bytes, 16<<20)
	fill(&c.Each, 1<<20)
	if c.Wait <= 0 {
		c.Wait = 2 * time.Second
	}
	if c.Idle <= 0 {
		c.Idle = 5 * time.Minute
	}
	return c
}

// Stats counts. In = Delivered + Repeated + Unread + Waiting, all in bytes of payload.
type Stats struct {
	Segments uint64 // of TCP, whole
	Ignored  uint64 // packets that are not

	In        uint64
	Delivered uint64
	Repeated  uint64 // they came before
	Unread    uint64 // nobody reads that connection, or direction; or they are of no place in it (Strays)
	Waiting   uint64

	Lost      uint64 // bytes that never came, as readers were told
	Conflicts uint64 // repeated bytes that differ from those that waited
	Strays    uint64 // segments of numbers that the connection is far from

	Opened, Evicted, Conns uint64 // connections; Evicted while they were read; Conns are known now, those that are over among them
}

// Conserved says whether the books add up.
func (s *Stats) Conserved() bool { return s.In == s.Delivered+s.Repeated+s.Unread+s.Waiting }

// Assembler reads connections. One goroutine uses it at a time.
type Assembler struct {
	cfg   Config
	open  func(Conn) Reader
	table table
	pages pages
	stats Stats
}

// New returns an Assembler that asks open for the reader of each connection; nil: it is not read.
func New(cfg Config, open func(Conn) Reader) *Assembler {
	cfg = cfg.filled()
	a := &Assembler{cfg: cfg, open: open}
	a.table.init(cfg.Conns)
	a.pages.left = max(cfg.Bytes/pageBytes, 1)
	return a
}

// Add takes one packet and its headers; now is its time in nanoseconds by any clock that does not go back. Packets that are not TCP,
// and fragments, are counted only: put fragments together before (package frag below the drivers does). data is not kept.
func (a *Assembler) Add(data []byte, h *wire.Headers, now int64) {
	t := h.TCP(data)
	if t == nil || h.Fragment {
		a.stats.Ignored++
		return
	}
	var key wire.FlowKey
	srcHigh, _ := h.ReadFlow(data, &key)
	payload := h.Payload(data)
	a.stats.Segments++
	a.stats.In += uint64(len(payload))
	flags := t.Flags()
	c := a.find(&key, srcHigh, flags, now)
	if c.over {
		a.stats.Unread += uint64(len(payload))
		return
	}
	d := FromOpener
	if srcHigh != c.openerHigh {
		d = ToOpener
	}
	s := segment{seq: t.Seq(), flags: flags, payload: payload, missing: h.Total - h.Len}
	if !a.segment(c, d, &s, now) {
		a.stats.Strays++
		a.stats.Unread += uint64(len(payload))
		return
	}
	c.seen, c.used = now, true
	a.finish(c)
}

// finish ends a connection of which both directions are over.
func (a *Assembler) finish(c *conn) {
	if c.halves[FromOpener].done && c.halves[ToOpener].done {
		a.end(c, Finished)
	}
}

// find returns the packet's connection, which is new if there was none.
func (a *Assembler) find(key *wire.FlowKey, srcHigh bool, flags wire.TCPFlags, now int64) *conn {
	c := a.table.find(key)
	opens := flags&(wire.SYN|wire.ACK|wire.RST) == wire.SYN
	switch {
	case c == nil:
		c = a.table.vacate(a.evict)
		a.table.put(c, key)
	case opens && c.over:
	case opens && now-c.seen > int64(quiet):
		a.end(c, Replaced)
	default:
		return c
	}
	a.begin(c, srcHigh, flags, now)
	return c
}

func (a *Assembler) evict(c *conn) {
	if !c.over {
		a.stats.Evicted++
		a.end(c, Evicted)
	}
}

// quiet is how long a connection must have been silent for a SYN to be the first of another one. Until then it may as well be one
// that was sent to confuse who reads along.
const quiet = 30 * time.Second

func (a *Assembler) begin(c *conn, srcHigh bool, flags wire.TCPFlags, now int64) {
	a.stats.Opened++
	answers := flags&(wire.SYN|wire.ACK) == wire.SYN|wire.ACK // of who was opened to
	*c = conn{key: c.key, number: c.number, openerHigh: srcHigh != answers, seen: now, used: true}
	opener, other := c.key.Low(), c.key.High()
	if c.openerHigh {
		opener, other = other, opener
	}
	c.reader = a.open(Conn{Opener: opener, Other: other, Midstream: flags&wire.SYN == 0})
	c.over = c.reader == nil
}

// end hands on what waits, and closes. The entry stays for a while, so that what strays in is not taken for a new connection.
func (a *Assembler) end(c *conn, why End) {
	if c.over {
		return
	}
	for d := range Direction(2) {
		a.giveUp(c, d)
	}
	c.over = true
	c.reader.Closed(why)
	c.reader = nil
}

// Tick gives up gaps and connections that are too old. It looks at all connections: call it about once a second by the packets' clock.
func (a *Assembler) Tick(now int64) {
	for i := range a.table.conns[:a.table.inUse] {
		c := &a.table.conns[i]
		if c.key == (wire.FlowKey{}) {
			continue
		}
		if now-c.seen > int64(a.cfg.Idle) {
			a.end(c, Idle)
			a.table.drop(c)
			continue
		}
		for d := range Direction(2) {
			if h := &c.halves[d]; h.gap() && now-h.since > int64(a.cfg.Wait) {
				a.skip(c, d, now)
			}
		}
		a.finish(c)
	}
}

// Close ends all connections.
func (a *Assembler) Close() {
	for i := range a.table.conns[:a.table.inUse] {
		if c := &a.table.conns[i]; c.key != (wire.FlowKey{}) {
			a.end(c, Stopped)
			a.table.drop(c)
		}
	}
}

// Stats returns what was counted.
func (a *Assembler) Stats() Stats {
	s := a.stats
	s.Conns = uint64(len(a.table.index))
	return s
}

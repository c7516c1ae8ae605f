package stream

import "github.com/weirnet/weir/divertdrv/wire"

// conn is an entry of the table; none without a key.
type conn struct {
	key        wire.FlowKey
	number     int32  // of the entry
	reader     Reader // nil: over
	seen       int64  // when its last segment came
	openerHigh bool   // the key's High endpoint opened it
	used       bool   // since the hand of the clock last passed
	over       bool   // nobody reads it, or it has ended
	halves     [2]half
}

// table finds connections. Entries do not move; one that was not used lately gives way when all are taken (CLOCK).
type table struct {
	index map[wire.FlowKey]int32
	conns []conn
	inUse int // entries that were ever taken
	free  []int32
	hand  int
	last  int32 // the one that was found last, which the next segment is mostly of
}

func (t *table) init(n int) {
	t.index = make(map[wire.FlowKey]int32)
	t.conns = make([]conn, n)
}

func (t *table) find(key *wire.FlowKey) *conn {
	if c := &t.conns[t.last]; c.key.Is(key) {
		return c
	}
	i, ok := t.index[*key]
	if !ok {
		return nil
	}
	t.last = i
	return &t.conns[i]
}

// vacate returns an entry that is free, after evict was called for whose it was.
func (t *table) vacate(evict func(*conn)) *conn {
	if n := len(t.free); n > 0 {
		i := t.free[n-1]
		t.free = t.free[:n-1]
		return &t.conns[i]
	}
	if t.inUse < len(t.conns) {
		c := &t.conns[t.inUse]
		c.number = int32(t.inUse)
		t.inUse++
		return c
	}
	for {
		t.hand = (t.hand + 1) % len(t.conns)
		c := &t.conns[t.hand]
		if c.used && !c.over {
			c.used = false
			continue
		}
		evict(c)
		delete(t.index, c.key)
		return c
	}
}

func (t *table) put(c *conn, key *wire.FlowKey) {
	c.key = *key
	t.index[*key], t.last = c.number, c.number
}

// drop gives an entry back.
func (t *table) drop(c *conn) {
	delete(t.index, c.key)
	t.free = append(t.free, c.number)
	*c = conn{number: c.number}
}

package nfqdrv

import (
	"time"

	"github.com/weirnet/weir/divertdrv"
)

// shift is what a handle knows of the handles that were opened since it was: which of its packets waited in the kernel then and
// will be heard of again when they pass (see echoes). It is guarded by out.mu.
type shift struct {
	until   uint32 // packets up to this id waited
	any     bool   // until is valid
	foreign uint64 // handles that other processes opened, when somebody looked
	unsure  time.Time

	flight *flight // of the passes that the kernel is to be told of next; nil: none of them can be heard of again
}

// foreignTime is how long after another process takes a handle's number its chains may take to appear.
const foreignTime = 100 * time.Millisecond

// shifted is called when a handle above c was opened.
func (c *conn) shifted() {
	c.out.mu.Lock()
	defer c.out.mu.Unlock()
	c.out.shift.mark(c)
}

// mark notes that what waits now may be heard of again.
func (s *shift) mark(c *conn) {
	if c.queue == nil {
		return
	}
	if st, known := c.queue.Stats(); known {
		s.until, s.any = uint32(st.LastID), true
	}
}

// look asks whether other processes opened handles. It is called once for all packets that are judged together.
func (s *shift) look(c *conn) {
	n := c.driver.shared.foreign()
	if n == s.foreign && s.unsure.IsZero() {
		return
	}
	now := time.Now()
	if n != s.foreign {
		s.foreign, s.unsure = n, now.Add(foreignTime)
	}
	s.mark(c)
	if now.After(s.unsure) {
		s.unsure = time.Time{}
	}
}

// passing remembers a packet that is passed, if it will be heard of again.
func (c *conn) passing(t token, p *divertdrv.Packet) {
	if s := &c.out.shift; s.any && int32(t.id()-s.until) <= 0 && t&tokenJoined == 0 {
		if s.flight == nil {
			s.flight = c.driver.shared.depart()
		}
		c.driver.shared.echoes.expect(t, c, s.flight, p.Data)
	}
}

// told is called when the kernel was told of passes.
func (s *shift) told() {
	if s.flight != nil {
		s.flight.land()
		s.flight = nil
	}
}

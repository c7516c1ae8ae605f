package stack

import (
	"slices"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
)

// opening is what REFLECT tells of a handle: the fields of its Address, and its filter as a compiled object with a NUL behind it.
type opening struct {
	number uint64 // in the order of opening
	about  addr.Reflect
	object []byte
}

// announce tells of c, or tells c of the handles that are open already, the oldest first. Handles at REFLECT are told of the
// others, never of each other.
func (c *conn) announce(o *divertdrv.Options) {
	s := c.stack
	c.opened.about = addr.Reflect{
		Timestamp: s.clock.Now().UnixNano(), ProcessID: s.process, Layer: c.layer, Flags: o.Flags, Priority: o.Priority,
	}
	if c.layer != addr.LayerReflect {
		s.reflect(c, addr.EventOpen)
		return
	}
	for _, other := range s.byAge() {
		a := other.reflection(addr.EventOpen)
		if c.filter.Match(&a, other.opened.object, nil) {
			c.takeEvent(&a, other.opened.object, 0)
		}
	}
}

// byAge returns the handles that REFLECT tells of.
func (s *Stack) byAge() (all []*conn) {
	for _, list := range s.handles[:addr.LayerReflect] {
		all = append(all, list...)
	}
	slices.SortFunc(all, func(a, b *conn) int { return int(a.opened.number) - int(b.opened.number) })
	return all
}

// reflect tells the handles at REFLECT that c was opened or closed.
func (s *Stack) reflect(c *conn, what addr.Event) {
	if c.layer == addr.LayerReflect {
		return
	}
	a := c.reflection(what)
	s.emit(&a, c.opened.object, 0, s.opened)
}

// reflection is the Address of an event about c.
func (c *conn) reflection(what addr.Event) (a addr.Address) {
	a.SetLayer(addr.LayerReflect, what)
	a.Timestamp = c.stack.clock.Now().UnixNano()
	a.SetReflect(c.opened.about)
	return a
}

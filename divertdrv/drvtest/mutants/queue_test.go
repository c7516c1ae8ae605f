package mutants

import (
	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/reason"
)

// shortest is the smallest QueueLength that may be set.
const shortest = 32

// deaf takes a parameter for set and does not tell the driver.
func deaf(param divertdrv.Param) twist {
	return twist{
		setParam: func(c *twistedConn, p divertdrv.Param, v uint64) error {
			if p != param {
				return c.Conn.SetParam(p, v)
			}
			c.mu.Lock()
			defer c.mu.Unlock()
			c.set = map[divertdrv.Param]uint64{p: v}
			return nil
		},
		param: func(c *twistedConn, p divertdrv.Param) (uint64, error) {
			c.mu.Lock()
			v, ok := c.set[p]
			c.mu.Unlock()
			if _, err := c.Conn.Param(p); err != nil || !ok {
				return c.Conn.Param(p)
			}
			return v, nil
		},
	}
}

// overloaded opens with another overload policy.
func overloaded(from, to divertdrv.Overload) twist {
	return twist{open: opening(func(f *divertdrv.Filter, _ *divertdrv.Layer, o *divertdrv.Options) *divertdrv.Filter {
		if o.Overload == from {
			o.Overload = to
		}
		return f
	})}
}

var queueMutants = []mutant{
	{name: "queues have no length", breaks: []string{"reflect/events-are-shed-like-packets", "queue/a-shorter-length-holds-from-the-next-packet", "queue/length-sheds-the-oldest"}, twist: deaf(addr.QueueLength)},
	{name: "queues have no size", breaks: []string{"queue/larger-than-the-queue", "queue/size-sheds-the-oldest"}, twist: deaf(addr.QueueSize)},
	{name: "queues have no time", breaks: []string{"queue/time-sheds-what-waited"}, twist: deaf(addr.QueueTime)},
	{name: "a full queue loses the newest", breaks: []string{"queue/copies-are-shed-alone", "queue/length-sheds-the-oldest", "queue/size-sheds-the-oldest", "queue/what-passes-above-may-be-shed-below"}, twist: overloaded(divertdrv.OverloadShedOldest, divertdrv.OverloadClosed)},
	{name: "a full queue lets pass", breaks: []string{"queue/length-sheds-the-oldest"}, twist: overloaded(divertdrv.OverloadShedOldest, divertdrv.OverloadOpen)},
	{name: "OverloadOpen loses the oldest", breaks: []string{"overload/open-lets-pass"}, twist: overloaded(divertdrv.OverloadOpen, divertdrv.OverloadShedOldest)},
	{name: "OverloadOpen loses the newest", breaks: []string{"overload/open-lets-pass"}, twist: overloaded(divertdrv.OverloadOpen, divertdrv.OverloadClosed)},
	{name: "OverloadClosed lets pass", breaks: []string{"overload/closed-loses-the-newest"}, twist: overloaded(divertdrv.OverloadClosed, divertdrv.OverloadOpen)},
	{name: "OverloadClosed loses the oldest", breaks: []string{"overload/closed-loses-the-newest"}, twist: overloaded(divertdrv.OverloadClosed, divertdrv.OverloadShedOldest)},
	{name: "losses are not counted", breaks: []string{"queue/losses-are-counted-by-cause"}, twist: twist{stats: func(_ *twistedConn, s divertdrv.Stats) divertdrv.Stats {
		s.Lost, s.LostBy = 0, divertdrv.Stats{}.LostBy
		return s
	}}},
	{name: "losses have no cause", breaks: []string{"queue/losses-are-counted-by-cause"}, twist: twist{stats: func(_ *twistedConn, s divertdrv.Stats) divertdrv.Stats {
		s.LostBy = divertdrv.Stats{}.LostBy
		s.LostBy[reason.Overload] = s.Lost
		return s
	}}},
	{name: "the time of a queue is always short", breaks: []string{"queue/time-is-at-least-that"}, twist: twist{setParam: func(c *twistedConn, p divertdrv.Param, v uint64) error {
		if p == addr.QueueTime && v == 16000 {
			return c.Conn.SetParam(p, 100)
		}
		return c.Conn.SetParam(p, v)
	}}},
	{name: "all handles have one queue's limits", breaks: []string{"param/each-handle-has-its-own", "queue/each-handle-has-its-own"}, twist: twist{setParam: func(c *twistedConn, p divertdrv.Param, v uint64) error {
		for _, o := range c.others() {
			_ = o.Conn.SetParam(p, v)
		}
		return c.Conn.SetParam(p, v)
	}}},
	{name: "a short queue never empties", breaks: []string{"queue/reading-makes-room"}, twist: twist{recv: func(c *twistedConn, b *divertdrv.Batch) error {
		if v, err := c.Conn.Param(addr.QueueLength); err == nil && v == shortest {
			b.Limit(1)
			if c.rounds++; c.rounds > shortest {
				return divertdrv.ErrNoRoom
			}
		}
		return c.Conn.Recv(b)
	}}},
}

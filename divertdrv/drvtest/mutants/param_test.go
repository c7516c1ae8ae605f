package mutants

import (
	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/reason"
)

// reading is a Param that answers otherwise.
func reading(f func(p divertdrv.Param, v uint64, err error) (uint64, error)) twist {
	return twist{param: func(c *twistedConn, p divertdrv.Param) (uint64, error) {
		v, err := c.Conn.Param(p)
		return f(p, v, err)
	}}
}

var paramMutants = []mutant{
	{name: "the default length is not 4096", breaks: []string{"param/defaults"}, twist: reading(func(p divertdrv.Param, v uint64, err error) (uint64, error) {
		if p == addr.QueueLength && v == 4096 {
			v = 8192
		}
		return v, err
	})},
	{name: "a parameter is rounded", breaks: []string{"param/set-is-read-back"}, twist: reading(func(p divertdrv.Param, v uint64, err error) (uint64, error) {
		if p <= addr.QueueSize {
			v &^= 1
		}
		return v, err
	})},
	{name: "the version is 3", breaks: []string{"param/version"}, twist: reading(func(p divertdrv.Param, v uint64, err error) (uint64, error) {
		if p == addr.VersionMajor {
			v = 3
		}
		return v, err
	})},
	{name: "unknown parameters are 0", breaks: []string{"param/read-only-and-unknown"}, twist: reading(func(_ divertdrv.Param, v uint64, err error) (uint64, error) {
		if err == divertdrv.ErrUnsupported {
			return 0, nil
		}
		return v, err
	})},
	{name: "the smallest value is refused", breaks: []string{"param/set-is-read-back"}, twist: twist{setParam: func(c *twistedConn, p divertdrv.Param, v uint64) error {
		if lo, _, _, ok := p.Range(); ok && v == lo && p == addr.QueueSize {
			return divertdrv.ErrInvalid
		}
		return c.Conn.SetParam(p, v)
	}}},
	{name: "the driver counts what the handle counts", breaks: []string{"stats/a-driver-counts-what-the-handle-cannot", "stats/the-law-holds-at-every-step"}, twist: twist{stats: func(_ *twistedConn, s divertdrv.Stats) divertdrv.Stats {
		s.Received++
		s.Passed++
		return s
	}}},
	{name: "the driver counts injections too", breaks: []string{"stats/a-driver-counts-what-the-handle-cannot"}, twist: twist{
		inject: func(c *twistedConn, p []divertdrv.Packet) (int, error) {
			n, err := c.Conn.Inject(p)
			c.mu.Lock()
			defer c.mu.Unlock()
			c.rounds += n
			return n, err
		},
		stats: func(c *twistedConn, s divertdrv.Stats) divertdrv.Stats {
			c.mu.Lock()
			defer c.mu.Unlock()
			s.Injected += uint64(c.rounds)
			s.Completed += uint64(c.rounds)
			return s
		},
	}},
	{name: "what is dropped is lost too", breaks: []string{"drop-all/is-counted"}, twist: twist{stats: func(_ *twistedConn, s divertdrv.Stats) divertdrv.Stats {
		s.Lost += s.Dropped[reason.DropHandle]
		return s
	}}},
}

package mutants

import (
	"slices"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/wire"
)

// shutting is a Shutdown of another half.
func shutting(f func(how divertdrv.Shutdown) divertdrv.Shutdown) twist {
	return twist{shutdown: func(c *twistedConn, how divertdrv.Shutdown) error {
		if how = f(how); how == 0 {
			return nil
		}
		return c.Conn.Shutdown(how)
	}}
}

// closing is a Close that does something with what is unread first.
func closing(f func(c *twistedConn, unread []*divertdrv.Packet)) twist {
	return twist{close: func(c *twistedConn) error {
		if c.packets() && c.opts.Flags == 0 {
			f(c, c.drained())
		}
		return c.Conn.Close()
	}}
}

func (c *twistedConn) note(how divertdrv.Shutdown) (before divertdrv.Shutdown) {
	c.mu.Lock()
	defer c.mu.Unlock()
	before = c.shut
	c.shut |= how
	return before
}

var endMutants = []mutant{
	{name: "Shutdown(recv) leaves what is queued, but for one batch", breaks: []string{"shutdown/recv-reads-what-is-queued"}, twist: twist{
		shutdown: func(c *twistedConn, how divertdrv.Shutdown) error {
			c.note(how)
			return c.Conn.Shutdown(how)
		},
		recv: func(c *twistedConn, b *divertdrv.Batch) error {
			c.mu.Lock()
			if c.shut&divertdrv.ShutdownRecv != 0 {
				c.rounds++
			}
			late := c.rounds > 1
			c.mu.Unlock()
			if late {
				return divertdrv.ErrShutdown
			}
			return c.Conn.Recv(b)
		},
	}},
	{name: "Shutdown(recv) swallows what comes", breaks: []string{"shutdown/recv-takes-nothing-more"}, twist: twist{shutdown: func(c *twistedConn, how divertdrv.Shutdown) error {
		if how&divertdrv.ShutdownRecv != 0 && c.packets() && c.note(how)&divertdrv.ShutdownRecv == 0 {
			c.d.extra(c.f.String(), c.layer, divertdrv.Options{Priority: c.opts.Priority, Flags: divertdrv.DropAll})
		}
		return c.Conn.Shutdown(how)
	}}},
	{name: "Shutdown(recv) does not wake", breaks: []string{"shutdown/recv-wakes-who-waits"}, twist: twist{shutdown: func(c *twistedConn, how divertdrv.Shutdown) error {
		if c.waiting.Load() {
			return nil
		}
		return c.Conn.Shutdown(how)
	}}},
	{name: "Shutdown(recv) ends injection", breaks: []string{"shutdown/recv-still-sends"}, twist: twist{
		shutdown: func(c *twistedConn, how divertdrv.Shutdown) error {
			c.note(how)
			return c.Conn.Shutdown(how)
		},
		inject: func(c *twistedConn, p []divertdrv.Packet) (int, error) {
			if c.note(0)&divertdrv.ShutdownRecv != 0 {
				return 0, divertdrv.ErrShutdown
			}
			return c.Conn.Inject(p)
		},
	}},
	{name: "Shutdown(recv) ends releases", breaks: []string{"shutdown/recv-still-releases"}, twist: twist{
		shutdown: func(c *twistedConn, how divertdrv.Shutdown) error {
			c.note(how)
			return c.Conn.Shutdown(how)
		},
		release: func(c *twistedConn, token uint64, m divertdrv.Mark, p *divertdrv.Packet) error {
			if c.note(0)&divertdrv.ShutdownRecv != 0 {
				return divertdrv.ErrShutdown
			}
			return c.Conn.Release(token, m, p)
		},
	}},
	{name: "Shutdown(send) ends receiving", breaks: []string{"shutdown/send-passes-nothing"}, twist: shutting(func(how divertdrv.Shutdown) divertdrv.Shutdown {
		if how == divertdrv.ShutdownSend {
			how = divertdrv.ShutdownBoth
		}
		return how
	})},
	{name: "Shutdown(send) is nothing", breaks: []string{"shutdown/send-injects-nothing", "shutdown/send-passes-nothing"}, twist: shutting(func(how divertdrv.Shutdown) divertdrv.Shutdown { return how &^ divertdrv.ShutdownSend })},
	{name: "Shutdown(both) is Shutdown(send)", breaks: []string{"shutdown/both"}, twist: shutting(func(how divertdrv.Shutdown) divertdrv.Shutdown {
		if how == divertdrv.ShutdownBoth {
			how = divertdrv.ShutdownSend
		}
		return how
	})},
	{name: "what cannot be sent after Shutdown counts as passed", breaks: []string{"shutdown/send-passes-nothing"}, twist: twist{
		shutdown: func(c *twistedConn, how divertdrv.Shutdown) error {
			c.note(how)
			return c.Conn.Shutdown(how)
		},
		complete: func(c *twistedConn, b *divertdrv.Batch) error {
			if c.note(0)&divertdrv.ShutdownSend != 0 {
				return nil
			}
			return c.Conn.Complete(b)
		},
	}},
	{name: "a second Shutdown is an error", breaks: []string{"forward/race-shutdown-and-close", "race/shutdown-and-close", "shutdown/again-is-harmless"}, twist: twist{shutdown: func(c *twistedConn, how divertdrv.Shutdown) error {
		if c.note(how)&how == how {
			return divertdrv.ErrInvalid
		}
		return c.Conn.Shutdown(how)
	}}},
	{name: "Shutdown is for all handles", breaks: []string{"shutdown/others-go-on"}, twist: twist{shutdown: func(c *twistedConn, how divertdrv.Shutdown) error {
		for _, o := range c.others() {
			if how == divertdrv.ShutdownBoth {
				_ = o.Conn.Shutdown(how)
			}
		}
		return c.Conn.Shutdown(how)
	}}},
	{name: "Close drops what is unread", breaks: []string{"close/again-is-harmless", "close/unread-packets-go-on", "close/while-receiving"}, twist: closing(func(*twistedConn, []*divertdrv.Packet) {})},
	{name: "Close sends past all lower handles", breaks: []string{"close/unread-packets-go-to-lower-handles"}, twist: closing(func(c *twistedConn, unread []*divertdrv.Packet) {
		for _, pk := range unread {
			sendBy(c.d.bottom, pk.Addr, pk.Data)
		}
	})},
	{name: "Close sends the newest first", breaks: []string{"close/held-and-unread-together", "close/unread-packets-go-on"}, twist: closing(func(c *twistedConn, unread []*divertdrv.Packet) {
		slices.Reverse(unread)
		for _, pk := range unread {
			_, _ = c.Conn.Inject([]divertdrv.Packet{*pk})
		}
	})},
	{name: "Close repairs checksums", breaks: []string{"close/unread-packets-go-on"}, twist: closing(func(c *twistedConn, unread []*divertdrv.Packet) {
		for _, pk := range unread {
			wire.CalcChecksums(pk.Data, 0)
			_, _ = c.Conn.Inject([]divertdrv.Packet{*pk})
		}
	})},
	{name: "Close sends what waited too long", breaks: []string{"close/unread-for-too-long-is-lost"}, twist: twist{close: func(c *twistedConn) error {
		_ = c.Conn.SetParam(addr.QueueTime, 16000)
		return c.Conn.Close()
	}}},
	{name: "Close does not wake", breaks: []string{"close/wakes-who-waits"}, twist: twist{close: func(c *twistedConn) error {
		c.mu.Lock()
		c.closed = true
		c.mu.Unlock()
		if c.waiting.Load() {
			return nil
		}
		return c.Conn.Close()
	}}},
	{name: "Close ends other handles", breaks: []string{"close/others-go-on"}, twist: twist{close: func(c *twistedConn) error {
		if c.opts.Priority == 1 {
			for _, o := range c.others() {
				_ = o.Conn.Close()
			}
		}
		return c.Conn.Close()
	}}},
	{name: "a closed handle takes what comes", breaks: []string{"priority/closed-is-passed-by"}, twist: twist{close: func(c *twistedConn) error {
		if c.packets() && c.opts.Flags == 0 {
			c.d.extra(c.f.String(), c.layer, divertdrv.Options{Priority: c.opts.Priority, Flags: divertdrv.DropAll})
		}
		return c.Conn.Close()
	}}},
	{name: "Close sends what is in a batch", breaks: []string{"close/what-is-in-a-batch-is-lost"}, twist: twist{
		recv: func(c *twistedConn, b *divertdrv.Batch) error {
			err := c.Conn.Recv(b)
			c.mu.Lock()
			defer c.mu.Unlock()
			c.pending = nil
			for i := range b.Packets() {
				c.pending = append(c.pending, free(&b.Packets()[i]))
			}
			return err
		},
		complete: func(c *twistedConn, b *divertdrv.Batch) error {
			c.mu.Lock()
			c.pending = nil
			c.mu.Unlock()
			return c.Conn.Complete(b)
		},
		close: func(c *twistedConn) error {
			c.mu.Lock()
			defer c.mu.Unlock()
			for _, pk := range c.pending {
				if c.packets() {
					sendBy(c.d.bottom, pk.Addr, pk.Data)
				}
			}
			return c.Conn.Close()
		},
	}},
	{name: "a closed handle answers", breaks: []string{"close/then-nothing-works"}, twist: twist{param: func(c *twistedConn, p divertdrv.Param) (uint64, error) {
		v, err := c.Conn.Param(p)
		if err == divertdrv.ErrClosed {
			return 0, nil
		}
		return v, err
	}}},
}

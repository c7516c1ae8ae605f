package pcapdrv

import "github.com/weirnet/weir/divertdrv"

// conn is a handle of the engine with the capture's time.
type conn struct {
	divertdrv.Conn
	d *Driver
}

// Inject gives a packet that has no time that of the packet read last.
func (c conn) Inject(p []divertdrv.Packet) (n int, err error) {
	for n := range p {
		if err := c.inject(p[n : n+1]); err != nil {
			return n, err
		}
	}
	return len(p), nil
}

func (c conn) inject(p []divertdrv.Packet) error {
	if a := p[0].Addr; a.Timestamp == 0 {
		a.Timestamp = max(c.d.source.last.Load(), 1) // 0 is the engine's own clock
		defer func() { a.Timestamp = 0 }()           // it is the caller's
	}
	_, err := c.Conn.Inject(p)
	return err
}

package nfqdrv

import "github.com/weirnet/weir/divertdrv"

// Inject puts packets in below the handle, in order, until one is refused; see package reinject for how, and for the errors.
func (c *conn) Inject(p []divertdrv.Packet) (n int, err error) {
	switch {
	case c.closing.Load():
		return 0, divertdrv.ErrClosed
	case c.recvOnly:
		return 0, divertdrv.ErrUnsupported
	case c.sendShut.Load():
		return 0, divertdrv.ErrShutdown
	}
	return c.injector.Inject(p)
}

package stack

import (
	"errors"
	"fmt"
	"io"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
)

// canPull says that an idle Recv may go to the source now.
func (s *Stack) canPull() bool {
	return s.source != nil && !s.ended && !s.pulling && s.room()
}

// pulls says that an idle Recv of c goes to the source: packets, and flows that follow from them, come from there.
func (c *conn) pulls() bool { return c.layer <= addr.LayerFlow }

// room says whether every queue has room, so that nothing that is pulled would have to be shed.
func (s *Stack) room() bool {
	for _, list := range s.handles[:addr.LayerSocket] {
		for _, c := range list {
			if c.queue.full() {
				return false
			}
		}
	}
	return true
}

// pull reads packets from the source and lets them walk until c has what its Recv wants, the source ends, a queue is full,
// or BatchMax of them passed c by: then others get their turn at the lock. One Recv pulls at a time.
func (s *Stack) pull(c *conn, b *divertdrv.Batch) {
	s.pulling = true
	if s.prompt {
		c.filling = b
	}
	for range divertdrv.BatchMax {
		a, data, err := s.next()
		if err != nil {
			s.admit() // what the Sink sent came before the end
			s.finish(sourceEnd(err))
			break
		}
		_ = s.enter(a, data, tokenKept) // an error of the Sink is counted
		if more, _ := b.Room(); !more || c.queue.n > 0 || !c.takes || s.ended || !s.room() {
			break
		}
	}
	c.filling = nil
	s.pulling = false
}

// next asks the source, without the lock if that may take time.
func (s *Stack) next() (*divertdrv.Address, []byte, error) {
	if !s.prompt {
		s.unlock()
		defer s.lock()
	}
	a, data, err := s.source.Next()
	if err == nil && int(a.Layer()) >= walked {
		err = fmt.Errorf("%w: the source has a packet of layer %v", divertdrv.ErrUnsupported, a.Layer())
	}
	return a, data, err
}

func sourceEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return divertdrv.ErrShutdown
	}
	return err
}

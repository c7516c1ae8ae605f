package pcapdrv

import (
	"sync"
	"sync/atomic"

	"github.com/weirnet/weir/divertdrv"
)

// source gives the engine the IP packets of a capture, and the output its bystanders.
type source struct {
	reader *Reader
	locals locals
	write  func(*Record) // the output, for bystanders

	frame Frame
	addr  divertdrv.Address

	stop atomic.Pointer[error] // why no more is read: Stop, Close, or an error of the output
	last atomic.Int64          // capture time of the packet read last

	packets, bytes, truncated atomic.Uint64

	mu    sync.Mutex // guards kinds
	kinds bystanders
}

// end makes every Next from now on return why; the first reason stands.
func (s *source) end(why error) { s.stop.CompareAndSwap(nil, &why) }

// Next returns the next IP packet. When the output has failed there is no use in reading on.
func (s *source) Next() (*divertdrv.Address, []byte, error) {
	for {
		if why := s.stop.Load(); why != nil {
			return nil, nil, *why
		}
		if err := s.reader.Next(&s.frame); err != nil {
			if why := s.stop.Load(); why != nil { // the file was closed under the reader's hands
				err = *why
			}
			return nil, nil, err
		}
		c := decap(&s.frame)
		if c.ip != nil {
			s.address(&c)
			return &s.addr, c.ip, nil
		}
		s.passBy(&c)
	}
}

// address fills in what is known of a packet; indices of interfaces are not.
func (s *source) address(c *carried) {
	s.packets.Add(1)
	s.bytes.Add(uint64(len(c.ip)))
	if c.headers.Truncated {
		s.truncated.Add(1)
	}
	s.last.Store(s.frame.Time)
	outbound, loopback := s.locals.place(c)
	s.addr = divertdrv.Address{Timestamp: s.frame.Time}
	s.addr.SetIPv6(c.headers.Version == 6)
	s.addr.SetOutbound(outbound)
	s.addr.SetLoopback(loopback)
	setFinal(&s.addr, c)
}

// passBy counts a frame that is no packet and writes it as it is.
func (s *source) passBy(c *carried) {
	f := &s.frame
	s.mu.Lock()
	s.kinds.add(Bystander{Link: f.Link, Reason: c.why, Protocol: c.protocol})
	s.mu.Unlock()
	s.write(&Record{Time: f.Time, Data: f.Data, WireLen: f.WireLen, Link: f.Link, Direction: f.Direction})
}

package nfqdrv

import (
	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/frag"
	"github.com/weirnet/weir/divertdrv/nfqdrv/internal/queue"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/divertdrv/wire"
)

// joiner puts inbound IPv6 fragments together, which come to the input hook as they are (those of IPv4 the kernel has joined by
// then). The fragments wait in the kernel's queue; what passes passes as fragments, and only a packet that was changed goes on as
// a whole, in place of its last fragment. It is used under the receiver's lock.
type joiner struct {
	conn   *conn
	frags  *frag.Reassembler // made when the first fragment comes
	pieces []uint32          // of the packet that is being joined
}

// joinBytes bounds the memory of fragments that wait.
const joinBytes = 4 << 20

// add takes a fragment; joined: it was the last one of whole, and its token stands for all.
func (j *joiner) add(data []byte, h *divertdrv.Headers, scope uint32, t token) (whole []byte, joined bool) {
	if j.frags == nil {
		j.frags = frag.NewReassembler(frag.Config{Bytes: joinBytes, Release: j.release})
	}
	j.pieces = j.pieces[:0]
	switch r := j.frags.Add(data, h, scope, uint64(t)); r.Outcome {
	case frag.Held:
	case frag.Joined:
		return r.Whole, true
	default:
		j.drop(t, r.Outcome)
	}
	return nil, false
}

// release gets a fragment back: it is part of the whole, or will never be.
func (j *joiner) release(t uint64, o frag.Outcome) {
	switch o {
	case frag.Joined:
		j.pieces = append(j.pieces, token(t).id())
	case frag.Closed: // the handle is closed: the packet goes on unseen
		j.conn.end(token(t), true)
	default:
		j.drop(token(t), o)
	}
}

func (j *joiner) drop(t token, o frag.Outcome) {
	why := reason.Malformed
	switch o {
	case frag.EvictedBytes, frag.EvictedPackets:
		why = reason.NoMemory
	case frag.Expired:
		why = reason.QueueTime
	}
	j.conn.lose(t, why)
}

func (j *joiner) close() {
	if j.frags != nil {
		j.frags.Close()
	}
}

// recheck decides what the kernel left open about in.packet, whose headers are parsed. The result is what is given to the user, if
// it is ours; what is not ours has gone on, or waits for the rest of its fragments.
func (c *conn) recheck(a *divertdrv.Address, p *queue.Packet, t token) (data []byte, _ token, ours bool) {
	data = p.Data
	if c.filters.of(p).Hook.Reassemble && t&tokenIPv6 != 0 && c.in.headers.Fragment {
		whole, joined := c.in.joiner.add(data, &c.in.headers, p.InIf, t)
		if !joined {
			return nil, t, false
		}
		data, t = whole, t|tokenJoined
		wire.Parse(data, &c.in.headers)
		if t&tokenCopy == 0 {
			c.out.keepPieces(t, c.in.joiner.pieces)
		}
	}
	if !c.filter.Match(a, data, &c.in.headers) {
		c.books.coarse.Add(1)
		c.end(t, true)
		return nil, t, false
	}
	return data, t, true
}

// keepPieces notes the other fragments of a joined packet.
func (o *out) keepPieces(t token, ids []uint32) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pieces[t.id()] = append([]uint32(nil), ids...)
}

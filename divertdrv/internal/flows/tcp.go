package flows

import "github.com/weirnet/weir/divertdrv/wire"

// conversation is what is known of a TCP connection. A way is 0 for what the host sends and 1 for what it gets.
//
//	host opens:  SYN out, SYN+ACK in               → established
//	peer opens:  SYN in, SYN+ACK out, ACK in       → established
//	established: RST of any way, or each way's FIN acknowledged → deleted
type conversation struct {
	answered bool      // valid iff the peer opened it: the host's SYN+ACK was seen
	fin      [2]bool   // that way has ended
	acked    [2]bool   // and the other end knows
	end      [2]uint32 // valid iff fin: the sequence number behind the FIN
}

// opens: a SYN that answers none.
func opens(h *wire.Headers, data []byte) bool {
	return h.Transport == wire.TCP && h.TCP(data).Flags()&(wire.SYN|wire.ACK|wire.RST) == wire.SYN
}

// follow moves a connection on by one segment.
func (t *Table) follow(f *flow, data []byte, outbound bool, now int64) {
	if t.headers.Transport != wire.TCP {
		return
	}
	segment := t.headers.TCP(data)
	flags := segment.Flags()
	switch {
	case flags&wire.RST != 0:
		t.end(f, now)
	case f.class == opening:
		if f.opened(flags, outbound) {
			t.establish(f, now)
		}
	default:
		way := 0
		if !outbound {
			way = 1
		}
		f.tcp.see(way, flags, segment.Seq(), segment.Ack(), uint32(t.headers.PayloadLen()))
		if f.tcp.acked == [2]bool{true, true} {
			t.end(f, now)
		}
	}
}

// opened says whether the segment completes the handshake.
func (f *flow) opened(flags wire.TCPFlags, outbound bool) bool {
	both := flags&(wire.SYN|wire.ACK) == wire.SYN|wire.ACK
	switch {
	case f.outbound:
		return both && !outbound
	case both && outbound:
		f.tcp.answered = true
		return false
	default:
		return f.tcp.answered && !outbound && flags&wire.ACK != 0
	}
}

// see notes the FIN of one way and the acknowledgement of the other's.
func (c *conversation) see(way int, flags wire.TCPFlags, seq, ack, payload uint32) {
	if flags&wire.FIN != 0 {
		c.fin[way], c.end[way] = true, seq+payload+1
	}
	if back := 1 - way; flags&wire.ACK != 0 && c.fin[back] && int32(ack-c.end[back]) >= 0 {
		c.acked[back] = true
	}
}

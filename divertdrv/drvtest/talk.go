package drvtest

import (
	"encoding/binary"
	"net/netip"

	"github.com/weirnet/weir/divertdrv/wire"
)

// Talk plays both ends of a conversation packet by packet, for a Network without sockets of its own: what the local end says
// goes Outbound, what the remote end says Inbound.
type Talk struct {
	Network       Network
	Protocol      uint8 // TCP or UDP
	Local, Remote netip.AddrPort
}

// Connect opens it from this host: a TCP handshake, or a first datagram.
func (t Talk) Connect() error {
	if t.Protocol != wire.ProtoTCP {
		return t.say(Outbound, make([]byte, wire.UDPHeaderLen))
	}
	return t.segments(
		segment{Outbound, wire.SYN, 0, 0},
		segment{Inbound, wire.SYN | wire.ACK, 0, 1},
		segment{Outbound, wire.ACK, 1, 1},
	)
}

// Knock is the peer that asks for a TCP connection; Answer is the host that takes it, Refuse one that does not.
func (t Talk) Knock() error { return t.segments(segment{Inbound, wire.SYN, 0, 0}) }

// Answer is described at Knock.
func (t Talk) Answer() error {
	return t.segments(segment{Outbound, wire.SYN | wire.ACK, 0, 1}, segment{Inbound, wire.ACK, 1, 1})
}

// Refuse is described at Knock.
func (t Talk) Refuse() error { return t.segments(segment{Outbound, wire.RST | wire.ACK, 0, 1}) }

// Close ends a TCP connection on both sides. Other conversations have no end of their own.
func (t Talk) Close() error {
	if t.Protocol != wire.ProtoTCP {
		return nil
	}
	return t.segments(
		segment{Outbound, wire.FIN | wire.ACK, 1, 1},
		segment{Inbound, wire.FIN | wire.ACK, 1, 2},
		segment{Outbound, wire.ACK, 2, 2},
	)
}

type segment struct {
	way      Way
	flags    wire.TCPFlags
	seq, ack uint32
}

func (t Talk) segments(all ...segment) error {
	for _, s := range all {
		b := make([]byte, wire.TCPHeaderLen)
		binary.BigEndian.PutUint32(b[4:], s.seq)
		binary.BigEndian.PutUint32(b[8:], s.ack)
		b[12], b[13] = wire.TCPHeaderLen/4<<4, byte(s.flags)
		binary.BigEndian.PutUint16(b[14:], 0xffff) // window
		if err := t.say(s.way, b); err != nil {
			return err
		}
	}
	return nil
}

// say puts ports and an IP header before the rest of a transport header and sends it.
func (t Talk) say(w Way, transport []byte) error {
	src, dst := t.Local, t.Remote
	if w == Inbound {
		src, dst = dst, src
	}
	binary.BigEndian.PutUint16(transport, src.Port())
	binary.BigEndian.PutUint16(transport[2:], dst.Port())
	if t.Protocol == wire.ProtoUDP {
		binary.BigEndian.PutUint16(transport[4:], uint16(len(transport)))
	}
	header := wire.IPv4HeaderLen
	if src.Addr().Is6() {
		header = wire.IPv6HeaderLen
	}
	b := append(make([]byte, header), transport...)
	if src.Addr().Is6() {
		putIPv6(b, src.Addr(), dst.Addr())
		b[6] = t.Protocol
	} else {
		putIPv4(b, src.Addr(), dst.Addr(), 1)
		b[9] = t.Protocol
	}
	wire.CalcChecksums(b, 0)
	return t.Network.Send(w, b)
}

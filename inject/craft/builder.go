package craft

import (
	"encoding/binary"
	"net/netip"

	"github.com/weirnet/weir/divertdrv/wire"
)

// UDP builds a datagram. Errors: ErrAddresses, ErrTooLong.
func UDP(src, dst netip.AddrPort, payload []byte) ([]byte, error) {
	n := wire.UDPHeaderLen + len(payload)
	pkt, rest, err := ip(src.Addr(), dst.Addr(), wire.ProtoUDP, n)
	if err != nil {
		return nil, err
	}
	putPorts(rest, src.Port(), dst.Port())
	(*wire.UDPHeader)(rest).SetLength(uint16(n))
	copy(rest[wire.UDPHeaderLen:], payload)
	return finish(pkt), nil
}

// Segment is what a TCP header says besides its ports.
type Segment struct {
	Seq, Ack uint32
	Flags    wire.TCPFlags
	Window   uint16
	Options  []byte // at most 40; filled up to a multiple of 4 with End of Option List
}

const tcpOptionsMax = 40

// TCP builds a segment. Errors: ErrAddresses; ErrTooLong, also for the options.
func TCP(src, dst netip.AddrPort, s Segment, payload []byte) ([]byte, error) {
	head := wire.TCPHeaderLen + (len(s.Options)+3)/4*4
	if len(s.Options) > tcpOptionsMax {
		return nil, ErrTooLong
	}
	pkt, rest, err := ip(src.Addr(), dst.Addr(), wire.ProtoTCP, head+len(payload))
	if err != nil {
		return nil, err
	}
	putPorts(rest, src.Port(), dst.Port())
	t := (*wire.TCPHeader)(rest)
	t.SetSeq(s.Seq)
	t.SetAck(s.Ack)
	t.SetHeaderLen(head)
	t.SetFlags(s.Flags)
	t.SetWindow(s.Window)
	copy(rest[wire.TCPHeaderLen:], s.Options)
	copy(rest[head:], payload)
	return finish(pkt), nil
}

// Echo builds an ICMP or ICMPv6 echo request. Errors: ErrAddresses, ErrTooLong.
func Echo(src, dst netip.Addr, id, seq uint16, payload []byte) ([]byte, error) {
	proto, typ := uint8(wire.ProtoICMPv6), uint8(wire.ICMPv6Echo)
	if src.Is4() {
		proto, typ = wire.ProtoICMP, wire.ICMPEcho
	}
	pkt, rest, err := ip(src, dst, proto, wire.ICMPHeaderLen+len(payload))
	if err != nil {
		return nil, err
	}
	rest[0] = typ
	binary.BigEndian.PutUint16(rest[4:], id)
	binary.BigEndian.PutUint16(rest[6:], seq)
	copy(rest[wire.ICMPHeaderLen:], payload)
	return finish(pkt), nil
}

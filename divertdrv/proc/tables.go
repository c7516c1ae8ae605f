package proc

import (
	"encoding/binary"
	"errors"

	"github.com/weirnet/weir/divertdrv/wire"
)

// tableShape is how a table of Windows' IP Helper lays its rows out: a count, then rows of size bytes. Offsets in bytes; peer -1:
// its sockets have none. MIB_TCPTABLE_OWNER_PID and its kin.
type tableShape struct {
	size, local, localPort, peer, peerPort, owner int
	state                                         int // valid iff there are peers
	v6                                            bool
	proto                                         uint8
}

var (
	tcp4Table = tableShape{24, 4, 8, 12, 16, 20, 0, false, wire.ProtoTCP}
	tcp6Table = tableShape{56, 0, 20, 24, 44, 52, 48, true, wire.ProtoTCP}
	udp4Table = tableShape{12, 0, 4, -1, -1, 8, -1, false, wire.ProtoUDP}
	udp6Table = tableShape{28, 0, 20, -1, -1, 24, -1, true, wire.ProtoUDP}
)

// stateListen is that of a socket whose peer has no meaning, and need not be zero (MIB_TCP_STATE_LISTEN).
const stateListen = 2

var errTable = errors.New("a table of IP Helper has fewer rows than it says")

// read takes the rows of a table apart; those without an owner are left out (connections that wait for their end).
func (s tableShape) read(b []byte) (sockets []Socket, err error) {
	if len(b) < 4 {
		return nil, errTable
	}
	n := int(binary.LittleEndian.Uint32(b))
	b = b[4:]
	if n < 0 || n > len(b)/s.size {
		return nil, errTable
	}
	for i := range n {
		r := b[i*s.size : (i+1)*s.size]
		k := Key{Proto: s.proto, Local: s.end(r, s.local, s.localPort)}
		if s.peer >= 0 && binary.LittleEndian.Uint32(r[s.state:]) != stateListen {
			if peer := s.end(r, s.peer, s.peerPort); peer.Port != 0 {
				k.Remote = peer
			}
		}
		if id := binary.LittleEndian.Uint32(r[s.owner:]); id != 0 && k.Local.Port != 0 {
			sockets = append(sockets, Socket{k, []uint32{id}})
		}
	}
	return sockets, nil
}

// end reads an endpoint: the address in network order, the port in network order in the first half of its field.
func (s tableShape) end(r []byte, addr, port int) wire.Endpoint {
	e := wire.Endpoint{Port: binary.BigEndian.Uint16(r[port:])}
	if s.v6 {
		e.Hi, e.Lo = binary.BigEndian.Uint64(r[addr:]), binary.BigEndian.Uint64(r[addr+8:])
	} else {
		e.Lo = 0xffff<<32 | uint64(binary.BigEndian.Uint32(r[addr:]))
	}
	return e
}

package proc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/internal/netlink"
)

// row is one socket that sock_diag tells of.
type row struct {
	key   Key
	inode uint32
}

// The layouts of linux/inet_diag.h: inet_diag_req_v2 (56 bytes) and inet_diag_msg (72 bytes), whose socket id starts at 8 in the
// one and at 4 in the other.
const (
	sockDiagByFamily = 20
	diagRequest      = 56
	diagMessage      = 72
	diagPorts        = 4
	diagSrc          = 8
	diagDst          = 24
	diagInode        = 68
)

// diag lists the sockets of TCP and UDP, of both families.
func (l *linux) diag() (rows []row, err error) {
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		for _, proto := range []uint8{wire.ProtoTCP, wire.ProtoUDP} {
			body := make([]byte, diagRequest)
			body[0], body[1] = family, proto
			binary.NativeEndian.PutUint32(body[4:], math.MaxUint32) // every state
			err := l.conn.Query(netlink.Message{Type: sockDiagByFamily, Flags: unix.NLM_F_DUMP, Body: body}, func(m netlink.Message) error {
				if r, ok := parseDiag(m.Body, proto); ok {
					rows = append(rows, r)
				}
				return nil
			})
			// What changed meanwhile is asked for again soon, so a torn list will do. A kernel without IPv6 has none of its sockets.
			if err != nil && !errors.Is(err, netlink.ErrInterrupted) && !(family == unix.AF_INET6 && errors.Is(err, unix.ENOENT)) {
				return nil, fmt.Errorf("list sockets: %w", err)
			}
		}
	}
	return rows, nil
}

// parseDiag reads one inet_diag_msg. Sockets without an inode have no owner: connections that wait to be accepted, or for their end.
func parseDiag(b []byte, proto uint8) (r row, ok bool) {
	if len(b) < diagMessage {
		return r, false
	}
	end := func(addr []byte, port uint16) wire.Endpoint {
		e := wire.Endpoint{Hi: binary.BigEndian.Uint64(addr), Lo: binary.BigEndian.Uint64(addr[8:]), Port: port}
		if b[0] == unix.AF_INET { // the first four bytes
			e.Hi, e.Lo = 0, 0xffff<<32|uint64(binary.BigEndian.Uint32(addr))
		}
		return e
	}
	r.key.Proto = proto
	r.key.Local = end(b[diagSrc:], binary.BigEndian.Uint16(b[diagPorts:]))
	if port := binary.BigEndian.Uint16(b[diagPorts+2:]); port != 0 {
		r.key.Remote = end(b[diagDst:], port)
	}
	r.inode = binary.NativeEndian.Uint32(b[diagInode:])
	return r, r.inode != 0 && r.key.Local.Port != 0
}

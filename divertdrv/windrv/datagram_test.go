package windrv_test

import (
	"encoding/binary"

	"github.com/weirnet/weir/divertdrv/wire"
)

const (
	passPort  = 4000
	numberOff = wire.IPv4HeaderLen + wire.UDPHeaderLen
)

// datagram is a packet from the host to its peer with a number.
func datagram(n uint32, port uint16) []byte {
	b := make([]byte, numberOff+60)
	b[0], b[8], b[9] = 0x45, 64, wire.ProtoUDP
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	binary.BigEndian.PutUint16(b[4:], uint16(n+1))
	copy(b[12:], []byte{192, 0, 2, 1, 198, 51, 100, 2})
	udp := b[wire.IPv4HeaderLen:]
	binary.BigEndian.PutUint16(udp, uint16(20000+n%1000))
	binary.BigEndian.PutUint16(udp[2:], port)
	binary.BigEndian.PutUint16(udp[4:], uint16(len(udp)))
	for i := numberOff; i < len(b); i++ {
		b[i] = byte(uint32(i) * (n | 1))
	}
	binary.BigEndian.PutUint32(b[numberOff:], n)
	wire.CalcChecksums(b, 0)
	return b
}

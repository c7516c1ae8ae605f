package reinject

import "encoding/binary"

// tagMark in tc_index says that it and the hash hold a source address; no traffic class of a qdisc has it by chance, and a packet
// from the wire has tc_index 0.
const tagMark = 1 << 15

// TagIndex is tc_index of a packet that was injected inbound on an interface without link addresses: with TagHash it holds the 46
// bits of source (Config.Source) that are not the same in all local unicast addresses.
func TagIndex(source [6]byte) uint16 {
	return tagMark | uint16(source[0]>>2)<<8 | uint16(source[1])
}

// TagHash is the hash of such a packet.
func TagHash(source [6]byte) uint32 { return binary.BigEndian.Uint32(source[2:]) }

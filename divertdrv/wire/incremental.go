package wire

// Update16 returns the checksum after the 16-bit word old of the data that it covers became new, all in host order (RFC 1624
// equation 3). A checksum that was wrong stays wrong by as much. Mind the 0: in UDP it would say that there is no checksum, and of
// data that became all zeros, which only ICMP allows, the checksum is 0xffff. SetSrcPort and its like take care of both.
func Update16(sum, old, new uint16) uint16 {
	return ^fold32(uint32(^sum) + uint32(^old) + uint32(new))
}

// Update32 is Update16 for two adjacent words, an IPv4 address or a TCP sequence number.
func Update32(sum uint16, old, new uint32) uint16 {
	old = ^old
	return ^fold32(uint32(^sum) + old>>16 + old&0xffff + new>>16 + new&0xffff)
}

// Update128 is Update16 for eight adjacent words, an IPv6 address as two big-endian numbers.
func Update128(sum uint16, oldHi, oldLo, newHi, newLo uint64) uint16 {
	return ^foldWords(uint64(^sum) + halves(^oldHi) + halves(^oldLo) + halves(newHi) + halves(newLo))
}

func halves(x uint64) uint64 { return x>>32 + x&0xffffffff }

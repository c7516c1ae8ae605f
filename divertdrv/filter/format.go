package filter

import (
	"encoding/binary"
	"math/big"
	"net/netip"
)

// formatValue writes a constant as a filter does: an address for a field that is one, all else in decimal.
func formatValue(id fieldID, v number) string {
	s := formatDecimal(v.mag)
	if id.words() == 4 {
		s = formatAddress(v.mag)
	}
	if v.neg {
		s = "-" + s
	}
	return s
}

func formatDecimal(v u128) string {
	n := new(big.Int).SetUint64(v.hi)
	return n.Lsh(n, 64).Or(n, new(big.Int).SetUint64(v.lo)).String()
}

// formatAddress writes an IPv4 address as a dotted quad, others by RFC 5952.
func formatAddress(v u128) string {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:8], v.hi)
	binary.BigEndian.PutUint64(b[8:], v.lo)
	return netip.AddrFrom16(b).Unmap().String()
}

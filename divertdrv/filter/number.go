package filter

import (
	"cmp"
	"math"
	"math/bits"
	"net/netip"
	"strings"
)

// u128 is an unsigned number of 128 bits: an IPv6 address, or whatever else a filter compares with.
type u128 struct{ hi, lo uint64 }

var maxU128 = u128{math.MaxUint64, math.MaxUint64}

func (a u128) cmp(b u128) int {
	if c := cmp.Compare(a.hi, b.hi); c != 0 {
		return c
	}
	return cmp.Compare(a.lo, b.lo)
}

func (a u128) less(b u128) bool { return a.cmp(b) < 0 }

// next returns a+1; a must not be maxU128.
func (a u128) next() u128 {
	lo, carry := bits.Add64(a.lo, 1, 0)
	return u128{a.hi + carry, lo}
}

// plus returns a+b; it must not pass maxU128.
func (a u128) plus(b u128) u128 {
	lo, carry := bits.Add64(a.lo, b.lo, 0)
	return u128{a.hi + b.hi + carry, lo}
}

// minus returns a-b; b must not be greater.
func (a u128) minus(b u128) u128 {
	lo, borrow := bits.Sub64(a.lo, b.lo, 0)
	return u128{a.hi - b.hi - borrow, lo}
}

// prev returns a-1; a must not be 0.
func (a u128) prev() u128 {
	lo, borrow := bits.Sub64(a.lo, 1, 0)
	return u128{a.hi - borrow, lo}
}

// number is a constant of the language: sign and magnitude, as WinDivert has it. -0 exists; it lies between -1 and 0.
type number struct {
	neg bool
	mag u128
}

func unsigned(v uint64) number { return number{mag: u128{lo: v}} }

func signed(v int64) number {
	if v < 0 {
		return number{neg: true, mag: u128{lo: -uint64(v)}}
	}
	return unsigned(uint64(v))
}

func (a number) cmp(b number) int {
	switch {
	case a.neg && b.neg:
		return b.mag.cmp(a.mag)
	case a.neg:
		return -1
	case b.neg:
		return 1
	}
	return a.mag.cmp(b.mag)
}

// negativeZero says that the number was written -0.
func (a number) negativeZero() bool { return a.neg && a.mag == u128{} }

// parseDecimal reads an unsigned decimal number. It fails on an empty text, another character, and past 128 bits.
func parseDecimal(s string) (v u128, ok bool) {
	for i := range len(s) {
		d := s[i] - '0'
		if d > 9 || !v.push(10, uint64(d)) {
			return u128{}, false
		}
	}
	return v, s != ""
}

// parseHex reads 0x and digits of either case. WinDivert takes 0x alone for 0, and no 0X.
func parseHex(s string) (v u128, ok bool) {
	digits, ok := strings.CutPrefix(s, "0x")
	if !ok {
		return u128{}, false
	}
	for i := range len(digits) {
		d, ok := hexDigit(digits[i])
		if !ok || !v.push(16, uint64(d)) {
			return u128{}, false
		}
	}
	return v, true
}

// push appends one digit; false: past 128 bits.
func (a *u128) push(base, digit uint64) bool {
	over, hi := bits.Mul64(a.hi, base)
	carry, lo := bits.Mul64(a.lo, base)
	lo, c := bits.Add64(lo, digit, 0)
	hi, c2 := bits.Add64(hi, carry, c)
	*a = u128{hi, lo}
	return over == 0 && c2 == 0
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10, true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}

// mappedPrefix is bits 32 to 47 of an IPv4 address as WinDivert counts it: ::ffff:a.b.c.d.
const mappedPrefix = 0xffff << 32

// parseIPv4 reads exactly four decimal parts of 0 to 255; leading zeros do not make them octal.
func parseIPv4(s string) (v u128, ok bool) {
	var addr uint64
	for i := range 4 {
		part, rest, more := strings.Cut(s, ".")
		n, ok := parseDecimal(part)
		if !ok || n.hi != 0 || n.lo > 255 || more != (i < 3) {
			return u128{}, false
		}
		addr, s = addr<<8|n.lo, rest
	}
	return u128{lo: mappedPrefix | addr}, true
}

// parseIPv6 reads the text form of RFC 4291 2.2. WinDivert takes a dotted quad only behind :: and ::ffff:.
func parseIPv6(s string) (v u128, ok bool) {
	if strings.ContainsRune(s, '.') {
		return parseEmbeddedIPv4(s)
	}
	a, err := netip.ParseAddr(s)
	if err != nil || !a.Is6() {
		return u128{}, false
	}
	return fromBytes(a.As16()), true
}

func parseEmbeddedIPv4(s string) (v u128, ok bool) {
	rest, ok := strings.CutPrefix(s, "::")
	if !ok {
		return u128{}, false
	}
	const mapped = "ffff:"
	isMapped := len(rest) > len(mapped) && strings.EqualFold(rest[:len(mapped)], mapped)
	if isMapped {
		rest = rest[len(mapped):]
	}
	if v, ok = parseIPv4(rest); ok && !isMapped {
		v.lo &^= mappedPrefix
	}
	return v, ok
}

func fromBytes(b [16]byte) (v u128) {
	for i := range 8 {
		v.hi, v.lo = v.hi<<8|uint64(b[i]), v.lo<<8|uint64(b[8+i])
	}
	return v
}

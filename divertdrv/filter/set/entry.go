package set

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// Entry is one entry of a set: an address, a prefix, a port, or a range of addresses or ports, both ends of which belong to it.
type Entry struct {
	kind   Kind
	v6     bool
	lo, hi value6 // of IPv4 addresses and ports the lower half of lo counts

	// Line is where it stands, from 1, and File in which file, for who explains; 0 and empty where that is not known.
	Line int
	File string
}

// ParseEntry reads 192.0.2.7, 192.0.2.0/24, 192.0.2.1-192.0.2.9, the same of IPv6, 443 or 8000-8100. The error says what would do.
func ParseEntry(text string) (Entry, error) {
	if low, high, ranged := strings.Cut(text, "-"); ranged {
		return parseRange(text, strings.TrimSpace(low), strings.TrimSpace(high))
	}
	if strings.Contains(text, "/") {
		return parsePrefix(text)
	}
	e, err := parseOne(text)
	if err != nil {
		return e, fmt.Errorf("%s is no entry of a set; write 192.0.2.7, 192.0.2.0/24, 192.0.2.1-192.0.2.9, fd00::/8, 443 or 8000-8100", quote(text))
	}
	return e, nil
}

func parseRange(text, low, high string) (Entry, error) {
	a, errA := parseOne(low)
	b, errB := parseOne(high)
	switch {
	case errA != nil || errB != nil || a.kind != b.kind || a.v6 != b.v6:
		return a, fmt.Errorf("%s is no range; write 192.0.2.1-192.0.2.9, fd00::1-fd00::9 or 8000-8100", quote(text))
	case a.lo.compare(b.lo) > 0:
		return a, fmt.Errorf("%s is no range: it ends before it begins; swap its ends", quote(text))
	}
	a.hi = b.hi
	return a, nil
}

func parsePrefix(text string) (Entry, error) {
	p, err := netip.ParsePrefix(text)
	switch {
	case err != nil || p.Addr().Is4In6():
		return Entry{}, fmt.Errorf("%s is no prefix; write 192.0.2.0/24 or fd00::/8", quote(text))
	case p != p.Masked():
		return Entry{}, fmt.Errorf("%s has bits behind its prefix; write %v, or the address without its length", quote(text), p.Masked())
	}
	return entryOfPrefix(p), nil
}

// entryOfPrefix makes one of a prefix that has no bits behind its length.
func entryOfPrefix(p netip.Prefix) Entry {
	e := entryOf(p.Addr())
	for bit := p.Bits(); bit < p.Addr().BitLen(); bit++ {
		if left := p.Addr().BitLen() - 1 - bit; left >= 64 {
			e.hi.hi |= 1 << (left - 64)
		} else {
			e.hi.lo |= 1 << left
		}
	}
	return e
}

// parseOne reads an address or a port. A leading zero would be octal to some readers.
func parseOne(text string) (Entry, error) {
	if len(text) <= 5 && strings.Trim(text, "0123456789") == "" { // else ParseUint makes an error of each address
		if port, err := strconv.ParseUint(text, 10, 16); err == nil && (text == "0" || text[0] != '0') {
			v := value6{lo: port}
			return Entry{kind: Ports, lo: v, hi: v}, nil
		}
	}
	a, err := netip.ParseAddr(text)
	if err == nil && a.Zone() != "" {
		err = errZone
	}
	if err != nil {
		return Entry{}, err
	}
	return entryOf(a.Unmap()), nil
}

var errZone = errors.New("an address of a set has no zone")

func entryOf(a netip.Addr) Entry {
	e := Entry{kind: Addresses, v6: a.Is6(), lo: value6Of(a)}
	if !e.v6 {
		e.lo = value6{lo: e.lo.lo & (1<<32 - 1)}
	}
	e.hi = e.lo
	return e
}

// Kind says what it is an entry of.
func (e Entry) Kind() Kind { return e.kind }

// Addrs are the first and the last of its addresses; of an entry of ports they are not valid.
func (e Entry) Addrs() (lo, hi netip.Addr) {
	if e.kind != Addresses {
		return lo, hi
	}
	return e.addr(e.lo), e.addr(e.hi)
}

// Ports are the first and the last of its ports; of an entry of addresses they are 0.
func (e Entry) Ports() (lo, hi uint16) {
	if e.kind != Ports {
		return 0, 0
	}
	return uint16(e.lo.lo), uint16(e.hi.lo)
}

// String writes it in the shortest form that ParseEntry reads.
func (e Entry) String() string {
	switch {
	case e.kind == Ports && e.lo == e.hi:
		return strconv.FormatUint(e.lo.lo, 10)
	case e.kind == Ports:
		return fmt.Sprintf("%d-%d", e.lo.lo, e.hi.lo)
	case e.kind == Empty:
		return ""
	}
	low, high := e.addr(e.lo), e.addr(e.hi)
	if low == high {
		return low.String()
	}
	for bits := range low.BitLen() {
		p := netip.PrefixFrom(low, bits).Masked()
		if whole := entryOfPrefix(p); whole.lo == e.lo && whole.hi == e.hi {
			return p.String()
		}
	}
	return low.String() + "-" + high.String()
}

func (e Entry) addr(v value6) netip.Addr {
	if !e.v6 {
		return netip.AddrFrom4([4]byte{byte(v.lo >> 24), byte(v.lo >> 16), byte(v.lo >> 8), byte(v.lo)})
	}
	var b [16]byte
	for i := range 8 {
		b[i], b[8+i] = byte(v.hi>>(56-8*i)), byte(v.lo>>(56-8*i))
	}
	return netip.AddrFrom16(b)
}

// quoteMax bounds how much of a text an error repeats, in bytes.
const quoteMax = 60

func quote(text string) string {
	if len(text) > quoteMax {
		text = strings.ToValidUTF8(text[:quoteMax], "") + "…"
	}
	return strconv.Quote(text)
}

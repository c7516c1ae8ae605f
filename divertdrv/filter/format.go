package filter

import (
	"encoding/binary"
	"math/big"
	"net/netip"
	"strings"
)

// Format returns the program's canonical text, which Parse with the same layer and options compiles to an equal program: one
// with the same object. It is written in the spirit of WinDivert's FormatFilter: = for equality, a field that is 0 or 1 alone or
// behind not, macros, addresses as such, words of packets in hexadecimal, indices in bytes; in parentheses is only what must
// be. A text that is at the limits of texts, and that would pass them in this form, stays as it is. The error is an *Error of CodeBadObject for a compiled object that
// no text is known to be compiled to, and of CodeTooLong for one whose text would pass the limits of texts.
func (p *Program) Format() (string, error) {
	found := decompile(p.tests)
	if found == nil {
		return "", p.noText(CodeBadObject, "no text was found that is compiled to this program")
	}
	want, _ := p.Object()
	var err error
	for _, spell := range [...]func(*comparison) string{
		func(c *comparison) string { return c.spell(p.layer) },
		func(c *comparison) string { return c.spellBriefly(p.layer) },
	} {
		var b strings.Builder
		found.write(&b, func(i int) string { return spell(&p.tests[i].comparison) })
		q := &Program{}
		if q.tests, err = compile(b.String(), p.layer, p.compat22); err != nil {
			continue
		}
		if got, _ := q.Object(); got != want {
			return "", p.noText(CodeBadObject, "no text is compiled to this program: "+p.unwritable())
		}
		return b.String(), nil
	}
	if !strings.HasPrefix(p.src, objectPrefix) {
		return p.src, nil
	}
	return "", p.noText(CodeTooLong, "the text of this program would pass the limits of texts")
}

func (p *Program) noText(code Code, msg string) *Error {
	return newError(p.src, 0, code, "%s; use the object itself", msg)
}

// unwritable names a test that no compiler leaves in a program.
func (p *Program) unwritable() string {
	for i := range p.tests {
		c := &p.tests[i].comparison
		if _, known := c.fold(); known {
			return "a compiler decides the test " + c.spell(p.layer)
		}
	}
	return "its edges lead otherwise"
}

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

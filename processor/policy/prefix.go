package policy

import (
	"fmt"
	"net/netip"
)

// prefix reads an address prefix; an address by itself is the prefix of that address alone.
type prefix struct{ netip.Prefix }

func (p *prefix) UnmarshalText(text []byte) error {
	if a, err := netip.ParseAddr(string(text)); err == nil && a.Zone() == "" {
		p.Prefix = netip.PrefixFrom(a, a.BitLen())
		return nil
	}
	parsed, err := netip.ParsePrefix(string(text))
	if err != nil {
		return fmt.Errorf("%s is no address or prefix; write 10.0.0.1, 10.0.0.0/8 or fd00::/8", quote(string(text)))
	}
	if parsed != parsed.Masked() {
		return fmt.Errorf("%s has bits behind its prefix; write %v, or the address without its length", quote(string(text)), parsed.Masked())
	}
	p.Prefix = parsed
	return nil
}

package processor

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/weirnet/weir/divertdrv/filter"
)

// CompileConditions makes the conditions of a filter at a layer a program, so that indexes, explanations, lints and kernel filters
// work on them. nil: there are none. Errors: ErrConditionNotFound, ErrTypeMismatch, ErrMatchTypeMismatch, ErrInvalidRange,
// ErrInvalidMask, and *filter.Error where there are more than a program can hold.
func CompileConditions(l Layer, conditions []Condition) (*filter.Program, error) {
	if len(conditions) == 0 {
		return nil, nil
	}
	text, err := ConditionText(l, conditions)
	if err != nil {
		return nil, err
	}
	return filter.Parse(text, l.DriverLayer())
}

// ConditionText writes conditions in the filter language. Errors are those of CompileConditions.
func ConditionText(l Layer, conditions []Condition) (string, error) {
	var all []string
	for i := 0; i < len(conditions); {
		var any []string
		for first := conditions[i].Field; i < len(conditions) && conditions[i].Field == first; i++ {
			text, err := conditions[i].text(l)
			if err != nil {
				return "", err
			}
			any = append(any, text)
		}
		all = append(all, "("+strings.Join(any, " or ")+")")
	}
	return strings.Join(all, " and "), nil
}

func (c *Condition) wrong(code Code, format string, args ...any) error {
	return &Error{code, fmt.Sprintf("condition %v %v", c.Field, c.Match), fmt.Sprintf(format, args...)}
}

// text is one condition in the filter language.
func (c *Condition) text(l Layer) (string, error) {
	switch {
	case c.Field == 0 || int(c.Field) >= len(fieldTable):
		return "", c.wrong(ErrConditionNotFound, "there is no such field")
	case !c.Field.at(l):
		return "", c.wrong(ErrConditionNotFound, "packets at %v do not have it", l)
	case c.Match > MatchNotPrefix:
		return "", c.wrong(ErrMatchTypeMismatch, "there is no such match type")
	}
	k := fieldTable[c.Field].kind
	switch c.Match {
	case MatchEqualCaseInsensitive, MatchPrefix, MatchNotPrefix:
		return "", c.wrong(ErrMatchTypeMismatch, "it compares strings, and the field is a %v", k)
	case MatchFlagsAllSet, MatchFlagsAnySet, MatchFlagsNoneSet:
		if !k.flags() {
			return "", c.wrong(ErrMatchTypeMismatch, "the filter language has flags for %v and %v only", Flags, TCPFlags)
		}
		return c.flags(l)
	}
	if k.flags() {
		return "", c.wrong(ErrMatchTypeMismatch, "compare flags by %v, %v or %v", MatchFlagsAllSet, MatchFlagsAnySet, MatchFlagsNoneSet)
	}
	low, high, err := c.bounds(k)
	if err != nil {
		return "", err
	}
	return c.compare(l, low, high), nil
}

// value is one end of a condition's value: text for the language, and what it is ordered by.
type value struct {
	text  string
	order netip.Addr // of addresses
	n     uint64     // of numbers
}

// bounds returns both ends of the condition's value; they are the same but for ranges and prefixes.
func (c *Condition) bounds(k kind) (low, high value, err error) {
	switch v := c.Value.(type) {
	case Range:
		return c.rangeOf(k, v)
	case netip.Prefix:
		return c.prefix(k, v)
	case AddrMask:
		p, ok := v.prefix()
		if !ok {
			return low, high, c.wrong(ErrInvalidMask, "%v is no mask for %v: want an IPv4 mask without gaps", v.Mask, v.Addr)
		}
		return c.prefix(k, p)
	}
	if c.Match == MatchRange {
		return low, high, c.wrong(ErrTypeMismatch, "want a Range, got a %T", c.Value)
	}
	low, err = c.single(k, c.Value)
	return low, low, err
}

func (c *Condition) single(k kind, v any) (value, error) {
	switch v := v.(type) {
	case netip.Addr:
		if a := v.Unmap().WithZone(""); k == kindAddr && v.IsValid() {
			return value{text: a.String(), order: a}, nil
		}
	case uint8:
		if k == kindUint8 {
			return value{text: fmt.Sprint(v), n: uint64(v)}, nil
		}
	case uint16:
		if k == kindUint16 {
			return value{text: fmt.Sprint(v), n: uint64(v)}, nil
		}
	case uint32:
		if k == kindUint32 {
			return value{text: fmt.Sprint(v), n: uint64(v)}, nil
		}
	}
	return value{}, c.wrong(ErrTypeMismatch, "want a %v, got the %T %v", k, v, v)
}

func (c *Condition) rangeOf(k kind, r Range) (low, high value, err error) {
	if c.Match != MatchRange {
		return low, high, c.wrong(ErrMatchTypeMismatch, "a Range is compared by %v", MatchRange)
	}
	if low, err = c.single(k, r.Low); err != nil {
		return low, high, err
	}
	if high, err = c.single(k, r.High); err != nil {
		return low, high, err
	}
	if low.order.BitLen() != high.order.BitLen() || low.n > high.n || low.order.Compare(high.order) > 0 {
		return low, high, c.wrong(ErrInvalidRange, "%s to %s is no range", low.text, high.text)
	}
	return low, high, nil
}

func (c *Condition) prefix(k kind, p netip.Prefix) (low, high value, err error) {
	switch {
	case k != kindAddr:
		return low, high, c.wrong(ErrTypeMismatch, "want a %v, got the prefix %v", k, p)
	case !p.IsValid() || p.Addr().Is4In6():
		return low, high, c.wrong(ErrInvalidMask, "%v is no prefix", p)
	case c.Match != MatchEqual && c.Match != MatchNotEqual:
		return low, high, c.wrong(ErrMatchTypeMismatch, "a prefix is compared by %v or %v", MatchEqual, MatchNotEqual)
	}
	p = p.Masked()
	last := p.Addr().AsSlice()
	for bit := p.Bits(); bit < p.Addr().BitLen(); bit++ {
		last[bit/8] |= 0x80 >> (bit % 8)
	}
	end, _ := netip.AddrFromSlice(last)
	return value{text: p.Addr().String(), order: p.Addr()}, value{text: end.String(), order: end}, nil
}

func (m AddrMask) prefix() (p netip.Prefix, ok bool) {
	if !m.Addr.Is4() || !m.Mask.Is4() {
		return p, false
	}
	mask, bits, gap := m.Mask.As4(), 0, false
	for bit := range 32 {
		set := mask[bit/8]&(0x80>>(bit%8)) != 0
		if set && gap {
			return p, false
		}
		if gap = !set; set {
			bits++
		}
	}
	return netip.PrefixFrom(m.Addr, bits), true
}

var operators = map[Match]string{
	MatchEqual: "==", MatchNotEqual: "!=", MatchGreater: ">", MatchLess: "<", MatchGreaterOrEqual: ">=", MatchLessOrEqual: "<=",
}

// compare writes the condition out for each field of the language that may hold the value.
func (c *Condition) compare(l Layer, low, high value) string {
	compare := func(field string) string {
		switch {
		case low == high && c.Match != MatchRange:
			return field + " " + operators[c.Match] + " " + low.text
		case c.Match == MatchNotEqual:
			return "(" + field + " < " + low.text + " or " + field + " > " + high.text + ")"
		}
		return "(" + field + " >= " + low.text + " and " + field + " <= " + high.text + ")"
	}
	var at []string
	for _, f := range c.fields(l, low.order.Is6()) {
		text := compare(f.name)
		if f.only != "" {
			text = "(" + f.only + " and " + text + ")"
		}
		at = append(at, text)
	}
	return strings.Join(at, " or ")
}

// languageField is a field of the filter language, and for which packets it is the one.
type languageField struct{ only, name string }

// fields are the language's names for the condition's field.
func (c *Condition) fields(l Layer, v6 bool) []languageField {
	ip := map[bool]string{false: "ip.", true: "ipv6."}[v6]
	switch c.Field {
	case IPSourceAddress:
		return []languageField{{"", ip + "SrcAddr"}}
	case IPDestinationAddress:
		return []languageField{{"", ip + "DstAddr"}}
	case IPLocalAddress:
		return sided(l, ip+"SrcAddr", ip+"DstAddr")
	case IPRemoteAddress:
		return sided(l, ip+"DstAddr", ip+"SrcAddr")
	case IPLocalPort:
		return append(sided(l, "tcp.SrcPort", "tcp.DstPort"), sided(l, "udp.SrcPort", "udp.DstPort")...)
	case IPRemotePort:
		return append(sided(l, "tcp.DstPort", "tcp.SrcPort"), sided(l, "udp.DstPort", "udp.SrcPort")...)
	case IPProtocol:
		return []languageField{{"", "protocol"}}
	case ICMPType:
		return []languageField{{"", "icmp.Type"}, {"", "icmpv6.Type"}}
	case ICMPCode:
		return []languageField{{"", "icmp.Code"}, {"", "icmpv6.Code"}}
	case FieldDirection:
		return []languageField{{"", "inbound"}}
	case SubInterfaceIndex:
		return []languageField{{"", "subIfIdx"}}
	}
	return []languageField{{"", "ifIdx"}}
}

// sided is the field of outbound and that of inbound packets. Where a layer shows one direction, one is enough, and bounds the
// filter in indexes; discard layers are also shown answers, which go the other way.
func sided(l Layer, out, in string) []languageField {
	switch d := l.Direction(); {
	case d == Both || l.IsDiscard():
		return []languageField{{"outbound", out}, {"inbound", in}}
	case d == Inbound:
		return []languageField{{"", in}}
	}
	return []languageField{{"", out}}
}

// flagWord is a flag in the language.
type flagWord struct {
	bit  uint32
	word string
}

var tcpFlagWords = []flagWord{
	{1, "tcp.Fin"}, {2, "tcp.Syn"}, {4, "tcp.Rst"}, {8, "tcp.Psh"}, {16, "tcp.Ack"}, {32, "tcp.Urg"},
}

// flags writes a condition on flags.
func (c *Condition) flags(l Layer) (string, error) {
	words, mask := []flagWord{{FlagIsFragment, "fragment"}, {FlagIsLoopback, "loopback"}}, uint32(0)
	if l.of() == IPForward {
		words = words[:1] // what is forwarded is no loopback, and the language has no word for it there
	}
	switch v := c.Value.(type) {
	case uint8:
		words, mask = tcpFlagWords, uint32(v)
		if c.Field != TCPFlags {
			return "", c.wrong(ErrTypeMismatch, "want a uint32, got the uint8 %#x", v)
		}
	case uint32:
		if mask = v; c.Field != Flags {
			return "", c.wrong(ErrTypeMismatch, "want a uint8, got the uint32 %#x", v)
		}
	default:
		return "", c.wrong(ErrTypeMismatch, "want a %v, got the %T %v", fieldTable[c.Field].kind, v, v)
	}
	var set []string
	for _, w := range words {
		if mask&w.bit != 0 {
			set = append(set, w.word)
			mask &^= w.bit
		}
	}
	switch {
	case mask != 0:
		return "", c.wrong(ErrConditionNotFound, "no packet tells of the bits %#x, so no filter can", mask)
	case len(set) == 0 && c.Match == MatchFlagsAnySet:
		return "false", nil
	case len(set) == 0: // all of none are set, and none of none is, where there is the field
		return map[bool]string{true: "tcp", false: "true"}[c.Field == TCPFlags], nil
	}
	switch c.Match {
	case MatchFlagsAnySet:
		return strings.Join(set, " or "), nil
	case MatchFlagsNoneSet:
		not := "not " + strings.Join(set, " and not ")
		if c.Field == TCPFlags {
			not = "tcp and " + not // what is no TCP has no flags that could be looked at
		}
		return "(" + not + ")", nil
	}
	return "(" + strings.Join(set, " and ") + ")", nil
}

package processor

import (
	"fmt"
	"net/netip"
)

// Condition is one condition as WFP has it (FWPM_FILTER_CONDITION0). Conditions of a filter must all hold, but of those that stand
// next to each other with the same field one is enough.
//
// There is no conversion of types: Value has the type that Field asks for, a Range of it, or of addresses a netip.Prefix or an
// AddrMask. Another type is ErrTypeMismatch.
type Condition struct {
	Field Field
	Match Match
	Value any
}

// Range is the value of MatchRange: both ends belong to it. One that is empty is ErrInvalidRange.
type Range struct{ Low, High any }

// AddrMask is an IPv4 address and its mask (FWP_V4_ADDR_AND_MASK). A mask with a gap is ErrInvalidMask.
type AddrMask struct{ Addr, Mask netip.Addr }

// Field is what a condition is about (FWPM_CONDITION_…), as far as packets tell.
type Field uint8

// The fields, with the types of their values. At a layer that does not have the field it is ErrConditionNotFound.
const (
	IPLocalAddress       Field = iota + 1 // netip.Addr; not at IPForward
	IPRemoteAddress                       // netip.Addr; not at IPForward
	IPSourceAddress                       // netip.Addr; at IPForward only
	IPDestinationAddress                  // netip.Addr; at IPForward only
	IPLocalPort                           // uint16; from transport layers on, like all that follow but the interface and Flags
	IPRemotePort                          // uint16
	IPProtocol                            // uint8
	ICMPType                              // uint16, as WFP has it
	ICMPCode                              // uint16
	FieldDirection                        // uint32: FWPOutbound or FWPInbound; at layers that see both directions
	InterfaceIndex                        // uint32
	SubInterfaceIndex                     // uint32
	Flags                                 // uint32: FlagIsLoopback, FlagIsFragment
	TCPFlags                              // uint8, as in the header; WFP has no such field
)

// Values of FieldDirection (FWP_DIRECTION).
const (
	FWPOutbound uint32 = iota
	FWPInbound
)

// Bits of Flags (FWP_CONDITION_FLAG_…). The others are not in a packet.
const (
	FlagIsLoopback    uint32 = 0x1
	FlagIsReauthorize uint32 = 0x4 // no filter can tell: a callout finds it in Classification.Reauth
	FlagIsFragment    uint32 = 0x20
)

// Match is how a field and a value are compared (FWP_MATCH_TYPE, with its numbers).
type Match uint8

// The match types.
const (
	MatchEqual Match = iota
	MatchGreater
	MatchLess
	MatchGreaterOrEqual
	MatchLessOrEqual
	MatchRange
	MatchFlagsAllSet
	MatchFlagsAnySet
	MatchFlagsNoneSet
	MatchEqualCaseInsensitive // strings only, which no packet has
	MatchNotEqual
	MatchPrefix    // strings only
	MatchNotPrefix // strings only
)

var matchNames = [...]string{
	"equal", "greater", "less", "greater-or-equal", "less-or-equal", "range", "flags-all-set", "flags-any-set", "flags-none-set",
	"equal-case-insensitive", "not-equal", "prefix", "not-prefix",
}

// String returns the match type's name as policies write it.
func (m Match) String() string {
	if int(m) < len(matchNames) {
		return matchNames[m]
	}
	return fmt.Sprintf("match(%d)", uint8(m))
}

// MatchNames returns the names of all match types, in the order of their numbers.
func MatchNames() []string { return matchNames[:] }

// ParseMatch reads a match type's name.
func ParseMatch(name string) (Match, error) {
	for i, n := range matchNames {
		if n == name {
			return Match(i), nil
		}
	}
	return 0, fmt.Errorf("unknown match type %q", name)
}

// kind is the type of a field's values.
type kind uint8

const (
	kindAddr kind = iota + 1
	kindUint8
	kindUint16
	kindUint32
	kindFlags8
	kindFlags32
)

func (k kind) String() string {
	return [...]string{"none", "netip.Addr", "uint8", "uint16", "uint32", "uint8", "uint32"}[k]
}

func (k kind) flags() bool { return k == kindFlags8 || k == kindFlags32 }

var fieldTable = [...]struct {
	name string
	kind kind
}{
	IPLocalAddress: {"ip-local-address", kindAddr}, IPRemoteAddress: {"ip-remote-address", kindAddr},
	IPSourceAddress: {"ip-source-address", kindAddr}, IPDestinationAddress: {"ip-destination-address", kindAddr},
	IPLocalPort: {"ip-local-port", kindUint16}, IPRemotePort: {"ip-remote-port", kindUint16},
	IPProtocol: {"ip-protocol", kindUint8}, ICMPType: {"icmp-type", kindUint16}, ICMPCode: {"icmp-code", kindUint16},
	FieldDirection: {"direction", kindUint32}, InterfaceIndex: {"interface-index", kindUint32},
	SubInterfaceIndex: {"sub-interface-index", kindUint32}, Flags: {"flags", kindFlags32}, TCPFlags: {"tcp-flags", kindFlags8},
}

// String returns the field's name as policies write it.
func (f Field) String() string {
	if f > 0 && int(f) < len(fieldTable) {
		return fieldTable[f].name
	}
	return fmt.Sprintf("field(%d)", uint8(f))
}

// FieldNames returns the names of all fields.
func FieldNames() (names []string) {
	for _, f := range fieldTable[1:] {
		names = append(names, f.name)
	}
	return names
}

// ParseField reads a field's name.
func ParseField(name string) (Field, error) {
	for i, f := range fieldTable {
		if i > 0 && f.name == name {
			return Field(i), nil
		}
	}
	return 0, &Error{ErrConditionNotFound, "", fmt.Sprintf("unknown field %q", name)}
}

// Bits is the size of the field's values, 8 to 32; 0: addresses.
func (f Field) Bits() int {
	switch fieldTable[f].kind {
	case kindUint8, kindFlags8:
		return 8
	case kindUint16:
		return 16
	case kindUint32, kindFlags32:
		return 32
	}
	return 0
}

// at says whether packets at a layer have the field, as WFP lists it ("Filtering Conditions Available at Each Filtering Layer").
func (f Field) at(l Layer) bool {
	switch f {
	case IPLocalAddress, IPRemoteAddress:
		return l.of() != IPForward
	case IPSourceAddress, IPDestinationAddress:
		return l.of() == IPForward
	case InterfaceIndex, SubInterfaceIndex, Flags:
		return true
	case FieldDirection:
		return l.Direction() == Both
	}
	return l.Transport()
}

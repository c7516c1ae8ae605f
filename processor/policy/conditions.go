package policy

import (
	"errors"
	"math/big"
	"net/netip"
	"slices"
	"strings"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/filter"
	"github.com/weirnet/weir/processor"
)

// ConditionsMax bounds the conditions of a filter.
const ConditionsMax = 255

type conditionSpec struct {
	Field placed[string] `yaml:"field,required"`
	Match placed[string] `yaml:"match" oneof:"equal greater less greater-or-equal less-or-equal range flags-all-set flags-any-set flags-none-set equal-case-insensitive not-equal prefix not-prefix in not-in"`
	Value configNode     `yaml:"value"`
	Set   placed[string] `yaml:"set"`
}

// conditions are those of a filter.
type conditions struct {
	runs [][]processor.Condition // on values; those on sets part them
	sets []processor.SetCondition
}

// conditions reads the conditions of a filter at a layer. Not ok: some are wrong, which was reported.
func (c *compiler) conditions(list []placed[conditionSpec], l processor.Layer) (all conditions, ok bool) {
	before := len(c.list)
	joins := false // the next condition stands behind one on a value
	for _, s := range within(c, list, ConditionsMax, "conditions") {
		if s.V.Field.node == nil || s.V.Field.V == "" {
			continue // reported already
		}
		field, err := processor.ParseField(s.V.Field.V)
		if err != nil {
			c.unknown(s.V.Field.node, "field", s.V.Field.V, processor.FieldNames())
			continue
		}
		if c.onSet(&s) {
			if set, ok := c.setCondition(&s, field, l); ok {
				all.sets = append(all.sets, set)
			}
			joins = false
			continue
		}
		if condition, ok := c.valueCondition(&s, field, l); ok {
			if !joins {
				all.runs = append(all.runs, nil)
			}
			last := len(all.runs) - 1
			all.runs[last] = append(all.runs[last], condition)
			joins = true
		}
	}
	c.neighbours(list)
	return all, len(c.list) == before
}

// valueCondition reads a condition that compares with a value.
func (c *compiler) valueCondition(s *placed[conditionSpec], field processor.Field, l processor.Layer) (condition processor.Condition, ok bool) {
	match, err := processor.ParseMatch(s.V.Match.V)
	switch {
	case s.V.Match.node != nil && err != nil:
		return condition, false // reported already
	case s.V.Value.node == nil:
		c.at(s.node, "key \"value\" is missing; add value: …, or set: …")
		return condition, false
	}
	before := len(c.list)
	value := c.conditionValue(s.V.Value.node, field, match)
	if len(c.list) > before {
		return condition, false
	}
	condition = processor.Condition{Field: field, Match: match, Value: value}
	if _, err := processor.ConditionText(l, []processor.Condition{condition}); err != nil {
		c.at(s.node, "%v; the reference says which fields a layer has, and how each is compared", err)
		return condition, false
	}
	return condition, true
}

// conditionValue reads a value as its field has it.
func (c *compiler) conditionValue(n *node, f processor.Field, m processor.Match) any {
	if m != processor.MatchRange {
		return c.single(n, f)
	}
	if n.kind != sequence || len(n.items) != 2 {
		c.at(n, "want the first and the last of the range, as in [1, 9]")
		return nil
	}
	return processor.Range{Low: c.single(n.items[0], f), High: c.single(n.items[1], f)}
}

// conditionWords are names for numbers.
var conditionWords = map[processor.Field]map[string]uint32{
	processor.IPProtocol:     {"icmp": 1, "tcp": 6, "udp": 17, "icmpv6": 58},
	processor.FieldDirection: {"outbound": processor.FWPOutbound, "inbound": processor.FWPInbound},
	processor.Flags:          {"loopback": processor.FlagIsLoopback, "fragment": processor.FlagIsFragment, "reauthorize": processor.FlagIsReauthorize},
	processor.TCPFlags:       {"fin": 1, "syn": 2, "rst": 4, "psh": 8, "ack": 16, "urg": 32},
}

// single reads one end of a value: an address or prefix, a number, or words for it; flags may be a list of words.
func (c *compiler) single(n *node, f processor.Field) any {
	words := conditionWords[f]
	number, named := words[n.text]
	switch {
	case f.Bits() == 0:
		return c.addressValue(n)
	case n.kind == sequence && (f == processor.Flags || f == processor.TCPFlags):
		for _, item := range n.items {
			bit, known := words[item.text]
			if item.kind != scalar || !known {
				c.at(item, "unknown flag %s; want %s", item.show(), oneOf(sortedWords(words)))
			}
			number |= bit
		}
	case n.kind == scalar && named:
	case n.kind == scalar && words != nil && !wholeNumber.MatchString(n.text):
		c.unknown(n, f.String(), n.text, sortedWords(words))
	default:
		most := new(big.Int).SetUint64(1<<f.Bits() - 1)
		if i := c.number(n, limits{key: "value"}, new(big.Int), most); i != nil {
			number = uint32(i.Uint64())
		}
	}
	switch f.Bits() {
	case 8:
		return uint8(number)
	case 16:
		return uint16(number)
	}
	return number
}

func sortedWords(words map[string]uint32) (all []string) {
	for w := range words {
		all = append(all, w)
	}
	slices.Sort(all)
	return all
}

// addressValue reads 10.0.0.1, 10.0.0.0/8 or 10.0.0.0/255.0.0.0.
func (c *compiler) addressValue(n *node) any {
	if n.kind != scalar {
		c.at(n, "want an address or prefix, got %v", n.kind)
		return nil
	}
	if a, err := netip.ParseAddr(n.text); err == nil && a.Zone() == "" {
		return a
	}
	if p, err := netip.ParsePrefix(n.text); err == nil {
		return p
	}
	addr, mask, _ := strings.Cut(n.text, "/")
	a, errAddr := netip.ParseAddr(addr)
	m, errMask := netip.ParseAddr(mask)
	if errors.Join(errAddr, errMask) != nil {
		c.at(n, "%s is no address or prefix; write 10.0.0.1, 10.0.0.0/8, 10.0.0.0/255.0.0.0 or fd00::/8", quote(n.text))
		return nil
	}
	return processor.AddrMask{Addr: a, Mask: m}
}

// joined compiles "when" and the conditions on values, which must both hold; nil: there is neither, or "when" is wrong.
func (c *compiler) joined(s *filterSpec, runs [][]processor.Condition) *filter.Program {
	l := s.Layer.V.Layer
	when := c.program(&s.When, l.DriverLayer())
	if len(runs) == 0 || s.When.node != nil && when == nil {
		return when
	}
	var texts []string
	if when != nil && strings.HasPrefix(when.String(), "@") {
		c.at(s.When.node, "a filter in object form cannot be joined with conditions; write it as text")
		return nil
	} else if when != nil {
		texts = append(texts, "("+when.String()+")")
	}
	for _, run := range runs {
		text, err := processor.ConditionText(l, run)
		if err != nil {
			c.at(s.Conditions.node, "%v", err)
			return nil
		}
		texts = append(texts, text)
	}
	p, err := parseAt(strings.Join(texts, " and "), l.DriverLayer())
	if err != nil {
		c.at(s.Conditions.node, "%v", err)
	}
	return p
}

// parseAt parses a text that is in no file: only the reason of an error is of use.
func parseAt(text string, l divertdrv.Layer) (*filter.Program, error) {
	p, err := filter.Parse(text, l)
	var wrong *filter.Error
	if errors.As(err, &wrong) {
		return nil, errors.New("these conditions make no filter: " + wrong.Msg)
	}
	return p, err
}

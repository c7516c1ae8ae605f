package policy

import (
	"encoding"
	"errors"
	"math"
	"math/big"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strconv"

	"github.com/goccy/go-yaml/token"
)

// scalar fills a value that is not a struct or slice.
func (d *decoder) scalar(n *node, v reflect.Value, l limits) {
	switch v.Kind() {
	case reflect.String:
		d.text(n, v, l)
	case reflect.Bool:
		d.bool(n, v)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		lo, hi := int64(math.MinInt64)>>(64-v.Type().Bits()), int64(math.MaxInt64)>>(64-v.Type().Bits())
		if i := d.number(n, l, big.NewInt(lo), big.NewInt(hi)); i != nil {
			v.SetInt(i.Int64())
		}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		hi := uint64(math.MaxUint64) >> (64 - v.Type().Bits())
		if i := d.number(n, l, new(big.Int), new(big.Int).SetUint64(hi)); i != nil {
			v.SetUint(i.Uint64())
		}
	default:
		d.at(n, "no value of a policy can be a %v; this is an error of the program", v.Type())
	}
}

// isText says whether a scalar is text by YAML's rules. Numbers too large for YAML's types look like text to the scanner.
func (n *node) isText() bool {
	switch n.style {
	case token.SingleQuoteType, token.DoubleQuoteType, token.LiteralType, token.FoldedType:
		return true
	case token.StringType:
		return !wholeNumber.MatchString(n.text)
	default:
		return false
	}
}

func (d *decoder) text(n *node, v reflect.Value, l limits) {
	switch {
	case n.kind != scalar:
		d.at(n, "want text, got %v", n.kind)
	case !n.isText():
		d.at(n, "want text, got %s; quote it: \"%s\"", n.text, n.text)
	case len(l.oneof) > 0 && !slices.Contains(l.oneof, n.text):
		d.unknown(n, l.key, n.text, l.oneof)
	case l.path != "":
		v.SetString(d.path(n, l.path))
	default:
		v.SetString(n.text)
	}
}

func (d *decoder) bool(n *node, v reflect.Value) {
	if n.kind != scalar || n.style != token.BoolType {
		d.at(n, "want true or false, got %s", n.show())
		return
	}
	v.SetBool(n.text[0] == 't' || n.text[0] == 'T')
}

// wholeNumber is how policies write numbers. A leading zero would be octal to some readers.
var wholeNumber = regexp.MustCompile(`^[+-]?(0|[1-9][0-9]*|0x[0-9A-Fa-f]+)$`)

// numberMax bounds the digits of a number that is worth reading.
const numberMax = 40

// number reads a whole number between bounds, of the type or of the tags; nil: it is none.
func (d *decoder) number(n *node, l limits, lo, hi *big.Int) *big.Int {
	if l.min != "" {
		lo, _ = new(big.Int).SetString(l.min, 0)
	}
	if l.max != "" {
		hi, _ = new(big.Int).SetString(l.max, 0)
	}
	quoted := n.style == token.SingleQuoteType || n.style == token.DoubleQuoteType
	switch {
	case n.kind == scalar && quoted && wholeNumber.MatchString(n.text):
		d.at(n, "want a number, got the text %s; remove the quotes", quote(n.text))
		return nil
	case n.kind != scalar || !wholeNumber.MatchString(n.text):
		d.at(n, "want a whole number from %v to %v (decimal, or 0x…), got %s", lo, hi, n.show())
		return nil
	}
	i, ok := new(big.Int), len(n.text) <= numberMax
	if ok {
		i, ok = i.SetString(n.text, 0)
	}
	if !ok || i.Cmp(lo) < 0 || i.Cmp(hi) > 0 {
		d.at(n, "%s %s is out of range; want %v to %v", l.key, shorten(n.text), lo, hi)
		return nil
	}
	return i
}

// show names what stands at the node in an error.
func (n *node) show() string {
	if n.kind == scalar {
		return quote(n.text)
	}
	return n.kind.String()
}

func shorten(digits string) string {
	if len(digits) > numberMax {
		return digits[:numberMax] + "…"
	}
	return digits
}

// unmarshal has a type read the text of a value, quoted or not.
func (d *decoder) unmarshal(n *node, v encoding.TextUnmarshaler) {
	if n.kind != scalar {
		d.at(n, "want a value, got %v", n.kind)
		return
	}
	switch err := v.UnmarshalText([]byte(n.text)); v.(type) {
	case *netip.Addr:
		if err != nil || n.text == "" {
			d.at(n, "%s is no address; write 10.0.0.1 or fd00::1", quote(n.text))
		}
	default:
		if err != nil {
			d.at(n, "%v", err)
		}
	}
}

// config fills into, a pointer to a struct, from the config of a callout; see decoder for the tags. What does not fit has been
// reported when it returns an error.
func (d *decoder) config(n *node, into any) error {
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return errors.New("config is decoded into a pointer to a struct; this is an error of the program, got " + strconv.Quote(v.Kind().String()))
	}
	before := len(d.list)
	d.decode(n, v.Elem(), limits{})
	if len(d.list) > before {
		return errConfig
	}
	return nil
}

var errConfig = errors.New("the config does not fit")

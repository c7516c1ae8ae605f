package lower_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/filter"
)

// filters makes random filters whose constants are near the values of a sample.
type filters struct {
	dice
	layer  addr.Layer
	fields []filter.Field
	sample addr.Address
	packet []byte
	asked  map[string]int // how often a field was asked for so far
}

func (d dice) filters(layer addr.Layer, a addr.Address, packet []byte, asked map[string]int) *filters {
	f := &filters{d, layer, filter.Fields(layer), a, packet, asked}
	if d.chance(30) { // chains of comparisons
		f.fields = []filter.Field{f.field(), f.field()}
	}
	return f
}

// field returns one that was asked for seldom, and that the sample has, if there is luck.
func (f *filters) field() filter.Field {
	best := f.fields[f.IntN(len(f.fields))]
	for range 8 {
		other := f.fields[f.IntN(len(f.fields))]
		name := other.Name
		if other.Indexable {
			name += "[0]"
		}
		if f.asked[other.Name] < f.asked[best.Name] && f.value(name) != "" {
			best = other
		}
	}
	return best
}

func (f *filters) one(of ...string) string { return of[f.IntN(len(of))] }

// expr returns an expression.
func (f *filters) expr(depth int) string {
	if depth == 0 || f.chance(20) {
		return f.test()
	}
	if f.chance(20) {
		return fmt.Sprintf("(%s ? %s : %s)", f.expr(depth-1), f.expr(depth-1), f.expr(depth-1))
	}
	var terms []string
	for range 2 + f.IntN(3) {
		terms = append(terms, f.expr(depth-1))
	}
	return "(" + strings.Join(terms, f.one(" and ", " or ", " or ", " or ")) + ")"
}

func (f *filters) test() string {
	field := f.field()
	name := field.Name
	if field.Indexable {
		i := f.IntN(30)
		if f.chance(10) {
			i = f.IntN(3000)
		}
		name += fmt.Sprintf("[%s%db]", f.one("", "", "-"), i+4)
		if f.chance(20) {
			name = fmt.Sprintf("%s[%s%d]", field.Name, f.one("", "-"), i%8+1)
		}
	}
	switch {
	case f.chance(10):
		return f.one("", "not ") + name
	case f.chance(75):
		if v := f.value(name); v != "" {
			return name + f.one(" == ", " == ", " != ", " <= ", " >= ", " < ", " > ") + v
		}
	}
	return name + f.one(" == ", " != ", " <= ", " >= ", " < ", " > ") + f.constant(field)
}

// value is what the sample has in a field.
func (f *filters) value(name string) string {
	p, err := filter.Parse(name, f.layer)
	if err != nil {
		panic(err)
	}
	e := p.Explain(&f.sample, f.packet, nil)
	if len(e.Tests) == 0 || e.Tests[0].Text == "zero" { // true and false are no fields of the program
		return ""
	}
	return e.Tests[0].Value
}

// constant is a value that the field can have, or a negative one, where the language does not decide that itself.
func (f *filters) constant(field filter.Field) string {
	switch {
	case f.chance(20) && strings.Contains("tcp.SeqNum tcp.AckNum icmp.Body icmpv6.Body packet32 loopback impostor", field.Name):
		return f.one("-1", "-7")
	case strings.HasSuffix(field.Name, "Addr") && strings.HasPrefix(field.Name, "ip."):
		return fmt.Sprintf("10.0.0.%d", f.IntN(4))
	case strings.HasSuffix(field.Name, "Addr"):
		return f.one("10.0.0.1", "::", "2001:db8::1", "2001:db8::2:0", "::ffff:ffff:ffff", fmt.Sprintf("2001:db8::%d", f.IntN(4)))
	}
	return f.one(field.Min, field.Max, "1", fmt.Sprint(f.IntN(256)))
}

// random returns a program that parses.
func (f *filters) random(t *testing.T) *filter.Program {
	t.Helper()
	for {
		p, err := filter.Parse(f.expr(f.IntN(4)), f.layer)
		if err == nil {
			return p
		}
		var fault *filter.Error
		if fault, _ = err.(*filter.Error); fault == nil || fault.Code != filter.CodeTooLong && fault.Code != filter.CodeBadToken {
			t.Fatal(err)
		}
	}
}

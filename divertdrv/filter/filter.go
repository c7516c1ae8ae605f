package filter

import (
	"strings"

	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/wire"
)

// Program is a compiled filter. It is immutable and safe for concurrent use.
type Program struct {
	src      string
	layer    addr.Layer
	compat22 bool
	tests    []test
	code     code
}

// Option changes what Parse makes of a text.
type Option func(*options)

type options struct{ compat22 bool }

// Compat22 makes Parse and Match answer as WinDivert 2.2's user-mode helpers do, where they are wrong too; see the package
// comment for what that is.
func Compat22() Option { return func(o *options) { o.compat22 = true } }

// Parse compiles a filter for a layer: a text of the language, or a compiled object (@WinDiv_…). The error is an *Error.
func Parse(src string, layer addr.Layer, opts ...Option) (*Program, error) {
	var o options
	for _, opt := range opts {
		opt(&o)
	}
	p := &Program{src: src, layer: layer, compat22: o.compat22}
	var err error
	if strings.HasPrefix(src, objectPrefix) || o.compat22 && strings.HasPrefix(src, objectPrefix[:1]) {
		p.tests, err = decodeObject(src, layer, o.compat22)
	} else {
		p.tests, err = compile(src, layer, o.compat22)
	}
	if err != nil {
		return nil, err
	}
	p.code = lower(p.tests, layer, o.compat22)
	return p, nil
}

// compile turns a text into tests.
func compile(src string, layer addr.Layer, compat22 bool) ([]test, error) {
	tokens, err := lex(src, layer, compat22)
	if err != nil {
		return nil, err
	}
	t, err := parse(src, tokens)
	if err != nil {
		return nil, err
	}
	tests, err := flatten(src, t, compat22)
	if err != nil || compat22 {
		return tests, err
	}
	for i := range tests {
		if c := &tests[i].comparison; c.refused() != "" {
			return nil, newError(src, c.pos, CodeBadToken, "%s", c.refused())
		}
	}
	return tests, nil
}

// Match says whether the program accepts a packet or event.
//
// a must be of the program's layer, which is not checked. At NETWORK and NETWORK_FORWARD pkt starts with the IP header, and h
// is what wire.Parse made of it, or nil to have that done here; what is no IP packet matches nothing. At other layers pkt and
// h are ignored. Match keeps none of its arguments, allocates nothing, and takes at most one step per test.
func (p *Program) Match(a *addr.Address, pkt []byte, h *wire.Headers) bool {
	switch {
	case p.layer > addr.NetworkForward:
		return p.matchEvent(a)
	case h == nil:
		return p.matchParsing(a, pkt)
	}
	return h.Version != 0 && p.run(p.code.packetFacts(a, h), a, pkt, h)
}

func (p *Program) matchEvent(a *addr.Address) bool {
	if p.layer == addr.LayerReflect {
		return p.run(0, a, nil, nil)
	}
	return p.run(p.endpointFacts(a), a, nil, nil)
}

func (p *Program) matchParsing(a *addr.Address, pkt []byte) bool {
	var h wire.Headers
	return wire.Parse(pkt, &h) && p.run(p.code.packetFacts(a, &h), a, pkt, &h)
}

// Layer returns the layer that the program was compiled for.
func (p *Program) Layer() addr.Layer { return p.layer }

// String returns the text that the program was compiled from.
func (p *Program) String() string { return p.src }

// Tests returns the number of tests, 1 to 255, as WinDivert counts them.
func (p *Program) Tests() int { return len(p.tests) }

// Always says whether the program gives all packets and events the same answer, and which. (What is no IP packet never
// matches at the layers of packets.)
func (p *Program) Always() (value, constant bool) {
	return p.code.accepts(p.code.entry), int(p.code.entry) >= len(p.code.nodes)
}

package filter

import (
	"math/big"
	"net/netip"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/weirnet/weir/divertdrv/addr"
)

var refToken = regexp.MustCompile(`^\s*(\(|\)|\[|\]|-|!=|!|==|=|<=|<|>=|>|\?|&&|\|\||:[^:\w.]|:$|[\w.:]+)`)

// refParser reads a text that is known to be right.
type refParser struct {
	t     testing.TB
	words []string
	layer addr.Layer
}

func refParse(t testing.TB, src string, layer addr.Layer) *refExpr {
	p := &refParser{t: t, layer: layer}
	for rest := src; strings.TrimSpace(rest) != ""; {
		m := refToken.FindStringSubmatch(rest)
		if m == nil {
			t.Fatalf("reference: no token at %q", rest)
		}
		w := m[1]
		if w[0] == ':' && w != ":" && !strings.HasPrefix(w, "::") {
			w = ":"
		} else if len(w) > 1 && strings.HasSuffix(w, ":") && !strings.HasSuffix(w, "::") {
			w = w[:len(w)-1]
		}
		rest = strings.TrimLeft(rest, " \t\n\r\f\v")[len(w):]
		if w != "b" {
			p.words = append(p.words, w)
		}
	}
	e := p.or()
	if len(p.words) > 0 {
		t.Fatalf("reference: %q left of %q", p.words, src)
	}
	return e
}

func (p *refParser) take(any ...string) bool {
	for _, w := range any {
		if len(p.words) > 0 && p.words[0] == w {
			p.words = p.words[1:]
			return true
		}
	}
	return false
}

func (p *refParser) pop() string {
	if len(p.words) == 0 {
		p.t.Fatal("reference: the text ends early")
	}
	w := p.words[0]
	p.words = p.words[1:]
	return w
}

func (p *refParser) or() *refExpr {
	e := &refExpr{kind: "or", kids: []*refExpr{p.and()}}
	for p.take("or", "||") {
		e.kids = append(e.kids, p.and())
	}
	return e
}

func (p *refParser) and() *refExpr {
	e := &refExpr{kind: "and", kids: []*refExpr{p.arg()}}
	for p.take("and", "&&") {
		e.kids = append(e.kids, p.arg())
	}
	return e
}

func (p *refParser) arg() *refExpr {
	if !p.take("(") {
		return p.test()
	}
	e := p.or()
	if p.take("?") {
		then := p.or()
		p.take(":")
		e = &refExpr{kind: "?", kids: []*refExpr{e, then, p.or()}}
	}
	p.take(")")
	return e
}

func (p *refParser) test() *refExpr {
	e := &refExpr{kind: "test"}
	for p.take("not", "!") {
		e.test.nots++
	}
	e.test.field = p.pop()
	f, ok := refFields[e.test.field]
	if !ok {
		p.t.Fatalf("reference: no field %q", e.test.field)
	}
	if f.size > 0 {
		p.take("[")
		e.test.fromEnd = p.take("-")
		w := p.pop()
		digits, bytes := strings.CutSuffix(w, "b")
		if bytes && !strings.HasPrefix(w, "0x") {
			w = digits
		} else {
			bytes = false
		}
		n, err := strconv.ParseInt(w, 0, 64)
		if !strings.HasPrefix(w, "0x") {
			n, err = strconv.ParseInt(w, 10, 64)
		}
		if err != nil {
			p.t.Fatal(err)
		}
		e.test.index = int(n)
		if !bytes {
			e.test.index *= f.size
		}
		p.take("]")
	}
	for _, op := range []string{"==", "=", "!=", "<=", "<", ">=", ">"} {
		if p.take(op) {
			e.test.op = op
			e.test.neg = p.take("-")
			e.test.value = p.number(p.pop())
			break
		}
	}
	return e
}

var refMacros = map[string]int64{
	"TRUE": 1, "FALSE": 0, "TCP": 6, "UDP": 17, "ICMP": 1, "ICMPV6": 58, "PACKET": 0, "NETWORK": 0, "NETWORK_FORWARD": 1, "FLOW": 2,
	"SOCKET": 3, "REFLECT": 4, "ESTABLISHED": 1, "DELETED": 2, "BIND": 3, "CONNECT": 4, "LISTEN": 5, "ACCEPT": 6, "OPEN": 8,
}

func (p *refParser) number(w string) *big.Int {
	if v, ok := refMacros[w]; ok {
		return refInt(v)
	}
	if w == "CLOSE" {
		return refInt(map[addr.Layer]int64{3: 7, 4: 9}[p.layer])
	}
	if a, err := netip.ParseAddr(w); err == nil {
		b := a.As16()
		return refBytes(b[:])
	}
	base := 10
	if digits, hex := strings.CutPrefix(w, "0x"); hex {
		w, base = "0"+digits, 16
	}
	v, ok := new(big.Int).SetString(w, base)
	if !ok {
		p.t.Fatalf("reference: no number %q", w)
	}
	return v
}

package filter

import (
	"fmt"
	"math/bits"
	"strings"
	"unicode/utf8"

	"github.com/weirnet/weir/divertdrv/addr"
)

// signHint says what to do about a character at pos that begins no token.
func signHint(src string, pos int, before []token) string {
	r, _ := utf8.DecodeRuneInString(src[pos:])
	switch r {
	case '&':
		return `a single &; "and" is written and, or &&`
	case '|':
		return `a single |; "or" is written or, or ||`
	case '/':
		return prefixHint(src, pos, before)
	case '{', '}', ',':
		return fmt.Sprintf("unknown character %q: there are no lists; join comparisons with or", r)
	case '"', '\'':
		return fmt.Sprintf("unknown character %q: names and values stand without quotes", r)
	case '~', '*':
		return fmt.Sprintf("unknown character %q: there are no patterns; compare numbers, or bytes of the payload", r)
	}
	return fmt.Sprintf("unknown character %q", r)
}

// prefixHint writes out what was meant by an address and a prefix length, such as ip.SrcAddr == 10.0.0.0/8.
func prefixHint(src string, pos int, before []token) string {
	const hint = "there are no prefixes; compare with the first and the last address"
	length, ok := leadingNumber(src[pos+1:])
	if n := len(before); ok && n >= 3 && before[n-1].kind == tokNumber && before[n-1].end == pos && before[n-3].kind == tokField {
		v := before[n-1].value
		size := 128
		if v.hi == 0 && v.lo>>32 == mappedPrefix>>32 {
			size = 32
		}
		if length <= size {
			first, last := prefix(v, size-length)
			name := fields[before[n-3].field].name
			return fmt.Sprintf("%s: %s >= %s and %s <= %s", hint, name, formatAddress(first), name, formatAddress(last))
		}
	}
	return hint
}

func leadingNumber(s string) (n int, ok bool) {
	end := 0
	for end < len(s) && end < 4 && s[end] >= '0' && s[end] <= '9' {
		n = n*10 + int(s[end]-'0')
		end++
	}
	return n, end > 0
}

// prefix returns the first and the last of the addresses that differ from v in the lowest n bits at most.
func prefix(v u128, n int) (first, last u128) {
	mask := u128{lo: ^uint64(0)}
	if n < 64 {
		mask.lo = 1<<n - 1
	} else {
		mask.hi = 1<<(n-64) - 1
	}
	if n == 128 {
		mask.hi = ^uint64(0)
	}
	return u128{v.hi &^ mask.hi, v.lo &^ mask.lo}, u128{v.hi | mask.hi, v.lo | mask.lo}
}

// layerHint says where a field exists that does not at l, and what does instead.
func layerHint(id fieldID, l addr.Layer) string {
	hint := fmt.Sprintf("%s does not exist at layer %s, only at %s", fields[id].name, l, layerNames(fields[id].layers))
	switch {
	case onEndpoints.has(l):
		switch id {
		case fTCPSrcPort, fTCPDstPort, fUDPSrcPort, fUDPDstPort:
			return hint + "; here it is localPort or remotePort"
		case fIPSrcAddr, fIPDstAddr, fIPv6SrcAddr, fIPv6DstAddr:
			return hint + "; here it is localAddr or remoteAddr"
		case fIPProtocol, fIPv6NextHdr:
			return hint + "; here it is protocol"
		}
	case l == addr.NetworkForward && (id == fLocalAddr || id == fRemoteAddr):
		return hint + "; a forwarded packet has ip.SrcAddr and ip.DstAddr, or ipv6.SrcAddr and ipv6.DstAddr"
	}
	return hint
}

func layerNames(s layerSet) string {
	var names []string
	for _, l := range s.list() {
		names = append(names, l.String())
	}
	if n := bits.OnesCount8(uint8(s)); n > 1 {
		return strings.Join(names[:n-1], ", ") + " and " + names[n-1]
	}
	return strings.Join(names, "")
}

// parseHint says what is wrong with token i where want was expected.
func parseHint(src string, tokens []token, i int, want string) string {
	t := tokens[i]
	text := src[t.pos:t.end]
	var last tokenKind // the token before
	if i > 0 {
		last = tokens[i-1].kind
	}
	switch t.kind {
	case tokEnd:
		if i == 0 {
			return "the filter is empty; true matches everything"
		}
		return "the filter ends where " + want + " is expected"
	case tokOpen:
		if last == tokNot {
			return "not applies to one test, not to parentheses: for not (a and b) write (not a or not b), for not (a or b) write (not a and not b)"
		}
	case tokQuestion:
		return "? outside of its own parentheses; write (a ? b : c)"
	case tokBytes:
		return "the suffix b belongs to an index, as in packet[10b]"
	case tokMinus:
		if last == tokNumber {
			return rangeHint(src, tokens, i)
		}
	case tokOpenIndex:
		return "only packet and payload fields take an index: packet[0], tcp.Payload16[2], udp.Payload32[-4b]"
	case tokMacro:
		_, layers := findMacro(text, addr.Layers)
		return fmt.Sprintf("%s is no value at this layer, only at %s", text, layerNames(layers))
	case tokField, tokNumber:
		if hint := operandHint(text, t.kind, last); hint != "" {
			return hint
		}
	}
	return fmt.Sprintf("unexpected %s, where %s is expected", text, want)
}

// operandHint says what is wrong with a field or number that stands where it cannot.
func operandHint(text string, kind, last tokenKind) string {
	compared := last >= tokEQ && last <= tokGEQ
	switch {
	case kind == tokField && compared:
		if upper := strings.ToUpper(text); isMacro(upper) {
			return fmt.Sprintf("%s is a field; the number is %s", text, upper)
		}
		return fmt.Sprintf("%s is a field, and a field can only be compared with a number", text)
	case kind == tokNumber && !compared && last != tokNumber && last != tokMinus:
		if lower := strings.ToLower(text); isMacro(text) && fieldByName[lower] != 0 {
			return fmt.Sprintf("%s is a number; the field is %s", text, lower)
		}
		return fmt.Sprintf("%s is a number, which only stands behind a field and a comparison", text)
	case kind == tokField && (last == tokField || last == tokNumber || last == tokClose):
		return fmt.Sprintf(`"and" or "or" is missing before %s`, text)
	}
	return ""
}

// rangeHint writes out what was meant by a range, such as tcp.DstPort == 8000-8100, whose minus is token i.
func rangeHint(src string, tokens []token, i int) string {
	const hint = "there are no ranges; compare with the first and the last"
	if i < 3 || tokens[i-3].kind != tokField || tokens[i+1].kind != tokNumber {
		return hint
	}
	text := func(t token) string { return src[t.pos:t.end] }
	name := text(tokens[i-3])
	return fmt.Sprintf("%s: %s >= %s and %s <= %s", hint, name, text(tokens[i-1]), name, text(tokens[i+1]))
}

func isMacro(w string) bool {
	_, layers := findMacro(w, addr.Layers)
	return layers != 0
}

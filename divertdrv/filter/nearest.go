package filter

import (
	"fmt"
	"strings"

	"github.com/weirnet/weir/divertdrv/addr"
)

// wordHint says what may have been meant by a word that is neither a name nor a number.
func wordHint(w string, l addr.Layer) string {
	if isDigit(w[0]) || strings.HasPrefix(w, "::") {
		return numberHint(w)
	}
	hint := fmt.Sprintf("unknown name %q", w)
	if more := foreign[strings.ToLower(w)]; more != "" {
		return hint + "; " + more
	}
	likely := nearest(w, l)
	switch upper := strings.ToUpper(w); len(likely) {
	case 0:
		if _, layers := findMacro(upper, l); layers != 0 {
			hint += fmt.Sprintf("; %s exists only at %s", upper, layerNames(layers))
		} else if strings.Contains(w, ".") {
			hint += "; fields are of ip, ipv6, tcp, udp, icmp and icmpv6, and bytes behind these are tcp.Payload[i] and udp.Payload[i]"
		}
	case 1:
		hint += "; did you mean " + likely[0] + "?"
	default:
		last := len(likely) - 1
		hint += "; did you mean " + strings.Join(likely[:last], ", ") + " or " + likely[last] + "?"
	}
	return hint
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func numberHint(w string) string {
	switch {
	case strings.Contains(w, ":"):
		return fmt.Sprintf("%q is no IPv6 address (RFC 4291; a zone or prefix cannot be written)", w)
	case strings.Contains(w, "."):
		return fmt.Sprintf("%q is no IPv4 address: four parts of 0 to 255", w)
	}
	return fmt.Sprintf("%q is no number: decimal, or hexadecimal with 0x, of at most 128 bits", w)
}

// foreign says what words of tcpdump and Wireshark are here.
var foreign = map[string]string{
	"port":  "ports are tcp.SrcPort, tcp.DstPort, udp.SrcPort, udp.DstPort, localPort and remotePort",
	"host":  "addresses are ip.SrcAddr, ip.DstAddr, ipv6.SrcAddr, ipv6.DstAddr, localAddr and remoteAddr",
	"net":   "compare addresses with the first and the last of the network",
	"src":   "the source is ip.SrcAddr, ipv6.SrcAddr, tcp.SrcPort or udp.SrcPort",
	"dst":   "the destination is ip.DstAddr, ipv6.DstAddr, tcp.DstPort or udp.DstPort",
	"proto": "the protocol is protocol, ip.Protocol, or simply tcp, udp, icmp, icmpv6",
	"in":    "there are no lists; join comparisons with or",
	"arp":   "the driver sees IP packets only",
	"ether": "the driver sees IP packets only",
	"eth":   "the driver sees IP packets only",
}

const mostNearest = 3

// nearest returns the words of the language at a layer that w is likely to stand for: first those that differ in case only,
// then fields of the same header whose name contains its last part, then those at the least edit distance.
func nearest(w string, l addr.Layer) []string {
	var same, part, near []string
	best := 1 + len(w)/5 // more edits than that are another word
	head, tail, dotted := strings.Cut(strings.ToLower(w), ".")
	for _, known := range vocabulary(l) {
		lower := strings.ToLower(known)
		if lower == strings.ToLower(w) {
			same = append(same, known)
		}
		if rest, ok := strings.CutPrefix(lower, head+"."); dotted && ok && len(tail) >= 3 && strings.Contains(rest, tail) {
			part = append(part, known)
		}
		switch d := distance(strings.ToLower(w), lower, best+1); {
		case d < best:
			best, near = d, []string{known}
		case d == best:
			near = append(near, known)
		}
	}
	for _, found := range [][]string{same, part, near} {
		if len(found) > 0 && len(w) > 1 {
			return found[:min(len(found), mostNearest)]
		}
	}
	return nil
}

// vocabulary returns all words that a text for a layer may contain.
func vocabulary(l addr.Layer) []string {
	words := []string{"and", "or", "not"}
	for i := range fields {
		if fields[i].layers.has(l) {
			words = append(words, fields[i].name)
		}
	}
	for i := range macros {
		if macros[i].layers.has(l) {
			words = append(words, macros[i].name)
		}
	}
	return words
}

// distance returns the number of bytes to insert, delete or change to make b of a, or limit if it is no less.
func distance(a, b string, limit int) int {
	if len(a)-len(b) >= limit || len(b)-len(a) >= limit {
		return limit
	}
	row := make([]int, len(b)+1) // distances of a[:i] to the beginnings of b
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := diagonal
			if a[i] != b[j] {
				d = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], d
		}
	}
	return min(row[len(b)], limit)
}

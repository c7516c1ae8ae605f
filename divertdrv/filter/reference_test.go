package filter

import (
	"math/big"
	"regexp"
	"slices"
	"strings"

	"github.com/weirnet/weir/divertdrv/addr"
)

// The reference is the filter language written down a second time, slowly and plainly: it walks an expression, picks bytes
// by hand, and computes in big integers. It shares no code with the package: not the tables, not the parser, not wire.

// refExpr is an expression: a test, or and, or, ? over kids.
type refExpr struct {
	kind string // "test", "and", "or", "?"
	kids []*refExpr
	test refTest
}

// refTest is a test as it is written.
type refTest struct {
	nots    int
	field   string
	index   int // bytes
	fromEnd bool
	op      string // "": not compared
	neg     bool
	value   *big.Int // magnitude
}

// refFaults are WinDivert's faults that Compat22 reproduces.
type refFaults struct{ folding, label, family, truncate bool }

var allFaults = refFaults{true, true, true, true}

// refField is a line of the table of section 1.3 of our notes on WinDivert, from which refFields is read.
type refField struct {
	layers string // of NMFSR
	lo, hi *big.Int
	folds  bool
	header string
	size   int // bytes of an indexed word
}

const refTable = `
zero NMFSR 0 0          true NMFSR 1 1         false NMFSR 0 0
inbound NFS 0 1         outbound NFS 0 1       ifIdx NM 0 0xffffffff   subIfIdx NM 0 0xffffffff
ip NMFS 0 1             ipv6 NMFS 0 1          icmp NMFS 0 1           tcp NMFS 0 1
udp NMFS 0 1            icmpv6 NMFS 0 1        fragment NM 0 1         length NM 20 65575
ip.HdrLength NM 0 15    ip.TOS NM 0 65535      ip.Length NM 0 65535    ip.Id NM 0 65535
ip.DF NM 0 1            ip.MF NM 0 1           ip.FragOff NM 0 8191    ip.TTL NM 0 255
ip.Protocol NM 0 255    ip.Checksum NM 0 65535
ip.SrcAddr NM 0xffff00000000 0xffffffffffff    ip.DstAddr NM 0xffff00000000 0xffffffffffff
ipv6.TrafficClass NM 0 255                     ipv6.FlowLabel NM 0 0xfffff
ipv6.Length NM 0 65535  ipv6.NextHdr NM 0 255  ipv6.HopLimit NM 0 255
ipv6.SrcAddr NM 0 0xffffffffffffffffffffffffffffffff
ipv6.DstAddr NM 0 0xffffffffffffffffffffffffffffffff
icmp.Type NM 0 255      icmp.Code NM 0 255     icmp.Checksum NM 0 65535    icmp.Body NM! 0 0xffffffff
icmpv6.Type NM 0 255    icmpv6.Code NM 0 255   icmpv6.Checksum NM 0 65535  icmpv6.Body NM! 0 0xffffffff
tcp.SrcPort NM 0 65535  tcp.DstPort NM 0 65535
tcp.SeqNum NM! 0 0xffffffff                    tcp.AckNum NM! 0 0xffffffff
tcp.HdrLength NM 0 15   tcp.Urg NM 0 1         tcp.Ack NM 0 1          tcp.Psh NM 0 1
tcp.Rst NM 0 1          tcp.Syn NM 0 1         tcp.Fin NM 0 1          tcp.Window NM 0 65535
tcp.Checksum NM 0 65535 tcp.UrgPtr NM 0 65535  tcp.PayloadLength NM 0 65535
udp.SrcPort NM 0 65535  udp.DstPort NM 0 65535 udp.Length NM 0 65535   udp.Checksum NM 0 65535
udp.PayloadLength NM 0 65535
loopback NFS! 0 0xffffffff                     impostor NM! 0 0xffffffff
processId FSR 0 0xffffffff                     protocol NFS 0 255
localAddr NFS 0 0xffffffffffffffffffffffffffffffff
remoteAddr NFS 0 0xffffffffffffffffffffffffffffffff
localPort NFS 0 65535   remotePort NFS 0 65535
endpointId FS 0 0xffffffffffffffff             parentEndpointId FS 0 0xffffffffffffffff
layer R 0 4             priority R -30000 30000                        event NMFSR 0 9
timestamp NMFSR -0x8000000000000000 0x7fffffffffffffff
packet NM 0 255         packet16 NM 0 65535    packet32 NM! 0 0xffffffff
tcp.Payload NM 0 255    tcp.Payload16 NM 0 65535                       tcp.Payload32 NM 0 0xffffffff
udp.Payload NM 0 255    udp.Payload16 NM 0 65535                       udp.Payload32 NM 0 0xffffffff
random8 NM 0 255        random16 NM 0 65535    random32 NM 0 0xffffffff
`

var refIndexed = regexp.MustCompile(`^(?:packet|tcp\.Payload|udp\.Payload)(|16|32)$`)

var refFields, refNames = func() (map[string]refField, []string) {
	m, names := map[string]refField{}, []string{}
	words := strings.Fields(refTable)
	for i := 0; i < len(words); i += 4 {
		name := words[i]
		f := refField{folds: true}
		f.layers, f.folds = strings.TrimSuffix(words[i+1], "!"), !strings.HasSuffix(words[i+1], "!")
		f.lo, _ = new(big.Int).SetString(words[i+2], 0)
		f.hi, _ = new(big.Int).SetString(words[i+3], 0)
		if dot := strings.IndexByte(name, '.'); dot > 0 {
			f.header = name[:dot]
		}
		if m := refIndexed.FindStringSubmatch(name); m != nil {
			f.size = map[string]int{"": 1, "16": 2, "32": 4}[m[1]]
		}
		m[name] = f
		names = append(names, name)
	}
	return m, names
}()

func (f refField) at(l addr.Layer) bool { return strings.IndexByte(f.layers, "NMFSR"[l]) >= 0 }

// refMatch evaluates e.
func refMatch(e *refExpr, layer addr.Layer, raw [80]byte, pkt []byte, faults refFaults) bool {
	s := &refState{layer: layer, raw: raw, faults: faults}
	if layer <= 1 {
		if s.pkt = refDecode(pkt); s.pkt == nil {
			return false
		}
	}
	return s.eval(e)
}

type refState struct {
	layer  addr.Layer
	raw    [80]byte
	pkt    *refPacket
	faults refFaults
}

func (s *refState) eval(e *refExpr) bool {
	switch e.kind {
	case "and":
		for _, k := range e.kids {
			if !s.eval(k) {
				return false
			}
		}
		return true
	case "or":
		for _, k := range e.kids {
			if s.eval(k) {
				return true
			}
		}
		return false
	case "?":
		if s.eval(e.kids[0]) {
			return s.eval(e.kids[1])
		}
		return s.eval(e.kids[2])
	}
	return s.test(&e.test)
}

func (s *refState) test(t *refTest) bool {
	f := refFields[t.field]
	// Everything is doubled, so that -0 finds room between -1 and 0.
	c := t.constant(s.faults.truncate && !f.folds)
	if holds, known := t.decided(f, c); known {
		switch {
		case f.header == "":
			return holds
		case holds:
			return s.has(f.header)
		}
		return s.faults.folding && !s.has(f.header)
	}
	v := s.value(t, f)
	return v != nil && t.holds(new(big.Int).Lsh(v, 1), c)
}

// constant returns twice what the field is compared with, cut down to 32 bits on demand.
func (t *refTest) constant(truncate bool) *big.Int {
	c := new(big.Int)
	if t.op == "" {
		return c
	}
	c.Set(t.value)
	if truncate {
		c.And(c, big.NewInt(0xffffffff))
	}
	c.Lsh(c, 1)
	if t.neg {
		c.Neg(c)
		if c.Sign() == 0 {
			c.SetInt64(-1)
		}
	}
	return c
}

// refused says whether the driver would refuse the test, if it is left in the program.
func (t *refTest) refused() bool {
	f, c := refFields[t.field], t.constant(false)
	if minusZero := t.op != "" && t.neg && t.value.Sign() == 0; minusZero && f.lo.Sign() < 0 {
		return true // within the field's range, so WinDivert does not fold it
	}
	if _, known := t.decided(f, c); known {
		return false
	}
	largest := f.hi
	if t.field == "ip.TOS" {
		largest = refInt(255)
	}
	minusZero := t.op != "" && t.neg && t.constant(!f.folds).Cmp(refInt(-1)) == 0 // where it can be too long it is cut
	return t.op != "" && (minusZero || c.Cmp(new(big.Int).Lsh(largest, 1)) > 0)
}

// any says whether f holds for a test of e.
func (e *refExpr) any(f func(t *refTest) bool) bool {
	if e.kind == "test" {
		return f(&e.test)
	}
	return slices.ContainsFunc(e.kids, func(k *refExpr) bool { return k.any(f) })
}

// decided tries the values of the field at which the answer can change.
func (t *refTest) decided(f refField, c *big.Int) (holds, known bool) {
	if !f.folds {
		return false, false
	}
	lo, hi := new(big.Int).Lsh(f.lo, 1), new(big.Int).Lsh(f.hi, 1)
	holds = t.holds(lo, c)
	for d := int64(-3); d <= 3; d++ {
		v := new(big.Int).Add(c, big.NewInt(d))
		if v.Bit(0) == 0 && v.Cmp(lo) >= 0 && v.Cmp(hi) <= 0 && t.holds(v, c) != holds {
			return false, false
		}
	}
	return holds, holds == t.holds(hi, c)
}

func (t *refTest) holds(v, c *big.Int) bool {
	cmp := v.Cmp(c)
	r := false
	switch t.op {
	case "=", "==":
		r = cmp == 0
	case "!=", "":
		r = cmp != 0
	case "<":
		r = cmp < 0
	case "<=":
		r = cmp <= 0
	case ">":
		r = cmp > 0
	case ">=":
		r = cmp >= 0
	default:
		panic(t.op)
	}
	return r != (t.nots%2 == 1)
}

// has says whether a header is there, or at the layers of endpoints, what the protocol is.
func (s *refState) has(header string) bool {
	if s.pkt != nil {
		return header == s.pkt.transport || header == s.pkt.family
	}
	v6 := s.raw[10]&0x10 != 0
	proto := s.raw[16+56]
	switch header {
	case "ip":
		return !v6 && !s.faults.family
	case "ipv6":
		return v6 && !s.faults.family
	case "tcp":
		return proto == 6
	case "udp":
		return proto == 17
	case "icmp":
		return proto == 1 && !v6
	case "icmpv6":
		return proto == 58 && v6
	}
	panic(header)
}

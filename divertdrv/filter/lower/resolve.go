package lower

import (
	"strings"

	"github.com/weirnet/weir/divertdrv/filter"
	"github.com/weirnet/weir/divertdrv/wire"
)

// source is where a value is loaded from.
type source uint8

const (
	fromIP         source = iota // the IP header
	fromTransport                // the transport header
	fromLength                   // how many bytes of the packet are here
	fromPayloadLen               // how many of them are behind the transport header
	fromProtocol                 // the protocol behind extension headers
	fromFragment                 // not 0: an IPv6 fragment
	fromImpostor                 // not 0: what Code.Before says
	fromIfIdx                    // the context
	fromPacket                   // a word of the packet, if it has it
	fromPayload                  // a word of the payload, if it has it
)

// load is how a node gets at its value.
type load struct {
	from  source
	size  uint8 // of the word in bytes: 1, 2, 4, or 16
	shift uint8
	mask  uint32
	off   int32 // of the word in bytes; of packet and payload from the end where negative
}

func (l load) mayFail() bool { return l.from == fromPacket || l.from == fromPayload }

// answer is what is known of a test in a world.
type answer struct {
	kind answerKind
	yes  bool   // of known: whether the test holds
	why  string // of left: why no program of the kernel can tell

	load load // of loaded
	span span
	flag bool // the field is 1 where what is loaded is not 0
}

type answerKind uint8

const (
	known answerKind = iota
	left
	loaded
)

// resolver answers the tests of one program at one hook.
type resolver struct {
	hook     *Hook
	compat22 bool
}

// resolve says what is known of a test in a world.
func (r *resolver) resolve(t *filter.Test, w world) answer {
	if a, ok := r.everywhere(t); ok {
		return a
	}
	if h, ok := headerFields[t.Field]; ok {
		yes, maybe := w.has(h)
		if maybe {
			return leftForPending
		}
		return number(t, b2u(yes))
	}
	if strings.HasSuffix(t.Field, "Addr") {
		return r.address(t, w)
	}
	if w.pending && !strings.HasPrefix(t.Field, "ip.") && !strings.HasPrefix(t.Field, "icmp.") {
		return leftForPending
	}
	if p, ok := places[t.Field]; ok {
		return r.placed(t, w, p)
	}
	if word, ok := words[t.Field]; ok {
		if yes, _ := w.has(word.behind); !yes {
			return absent
		}
		return indexed(t, w, word.behind != noHeader, word.size)
	}
	return r.derived(t, w)
}

var (
	absent         = answer{kind: known} // a test fails where the packet has no such field
	leftForPending = answer{kind: left, why: "the fragment is to be reassembled first"}
)

// number answers for a value that is known.
func number(t *filter.Test, v uint64) answer {
	return answer{kind: known, yes: holdsFor(t, narrow(v))}
}

// everywhere answers for the fields that do not depend on the headers.
func (r *resolver) everywhere(t *filter.Test) (answer, bool) {
	switch t.Field {
	case "zero", "event", "subIfIdx": // event: PACKET; sub-interfaces are a thing of Windows
		return number(t, 0), true
	case "inbound":
		return number(t, b2u(!r.hook.Outbound)), true
	case "outbound":
		return number(t, b2u(r.hook.Outbound)), true
	case "loopback":
		return number(t, b2u(r.hook.Loopback)), true
	case "impostor":
		return r.impostor(t), true
	case "ifIdx":
		return r.ifIdx(t), true
	case "timestamp":
		return answer{kind: left, why: "the packet gets its timestamp in user space"}, true
	case "random8", "random16", "random32":
		return answer{kind: left, why: "it derives from the timestamp, which the packet gets in user space"}, true
	}
	return answer{}, false
}

func (r *resolver) impostor(t *filter.Test) answer {
	switch r.hook.Impostor {
	case No:
		return number(t, 0)
	case Given:
		return value32(load{from: fromImpostor}, true)
	}
	return answer{kind: left, why: "the kernel does not tell who sent the packet"}
}

func (r *resolver) ifIdx(t *filter.Test) answer {
	switch {
	case r.hook.IfIdx != 0:
		return number(t, uint64(r.hook.IfIdx))
	case r.hook.SeesIfIdx:
		return value32(load{from: fromIfIdx}, false)
	}
	return answer{kind: left, why: "the program does not see that interface at " + r.hook.Name}
}

// value32 answers by a load of 32 bits.
func value32(l load, flag bool) answer {
	l.size, l.mask = 4, mask32
	return answer{kind: loaded, load: l, span: span{last: narrow(mask32)}, flag: flag}
}

// part answers by a load from a header.
func part(from source, p place) answer {
	return answer{
		kind: loaded, span: span{last: narrow(uint64(p.mask))},
		load: load{from: from, off: int32(p.off), size: p.size, shift: p.shift, mask: p.mask},
	}
}

func (r *resolver) placed(t *filter.Test, w world, p place) answer {
	switch yes, _ := w.has(p.in); {
	case !yes:
		return absent
	case r.compat22 && t.Field == "ipv6.FlowLabel":
		return answer{kind: left, why: "WinDivert 2.2 shuffles the bytes of the flow label"}
	case p.in == headerIPv4 || p.in == headerIPv6:
		return part(fromIP, p)
	}
	return part(fromTransport, p)
}

// mappedPrefix stands before an IPv4 address where it is counted as ::ffff:a.b.c.d.
const mappedPrefix = 0xffff << 32

// address answers for the fields that are addresses.
func (r *resolver) address(t *filter.Test, w world) answer {
	side, _, _ := strings.Cut(t.Field, ".")
	src := strings.HasSuffix(t.Field, "SrcAddr")
	switch side {
	case "localAddr":
		side, src = "", r.hook.Outbound
	case "remoteAddr":
		side, src = "", !r.hook.Outbound
	}
	switch {
	case side == "ip" && w.version != 4, side == "ipv6" && w.version != 6:
		return absent
	case w.version == 4:
		a := part(fromIP, places[map[bool]string{true: "ip.SrcAddr", false: "ip.DstAddr"}[src]])
		a.span.base = narrow(mappedPrefix)
		return a
	}
	l := load{from: fromIP, off: v6Dst, size: wideSize, mask: mask32}
	if src {
		l.off = v6Src
	}
	return answer{kind: loaded, load: l, span: span{last: maxWide}}
}

const (
	v6Src    = 8
	v6Dst    = 24
	wideSize = 16
)

// indexed answers for a word of the packet or of its payload. Within the fixed IP header it is there for certain.
// (The language sees to it that a word which is counted from the end does not reach behind it.)
func indexed(t *filter.Test, w world, payload bool, size uint8) answer {
	l := load{from: fromPacket, off: int32(t.Index), size: size, mask: uint32(1<<(8*uint(size)) - 1)}
	fixed := wire.IPv4HeaderLen
	if w.version == 6 {
		fixed = wire.IPv6HeaderLen
	}
	switch {
	case payload:
		l.from = fromPayload
	case t.Index >= 0 && t.Index%int(size) == 0 && t.Index+int(size) <= fixed:
		l.from = fromIP
	}
	return answer{kind: loaded, load: l, span: span{last: narrow(uint64(l.mask))}}
}

// derived answers for what follows from several headers.
func (r *resolver) derived(t *filter.Test, w world) answer {
	switch t.Field {
	case "length":
		return value32(load{from: fromLength}, false)
	case "protocol":
		return protocol(t, w)
	case "localPort":
		return port(t, w, r.hook.Outbound)
	case "remotePort":
		return port(t, w, !r.hook.Outbound)
	case "fragment":
		return fragment(w)
	case "tcp.PayloadLength", "udp.PayloadLength":
		want := wire.TCP
		if t.Field == "udp.PayloadLength" {
			want = wire.UDP
		}
		if w.transport != want {
			return absent
		}
		return value32(load{from: fromPayloadLen}, false)
	}
	return answer{kind: left, why: "it is not known to the lowering"} // a field that the language has and this package has not
}

func protocol(t *filter.Test, w world) answer {
	switch {
	case w.transport != wire.NoTransport:
		return number(t, uint64(protocols[w.transport]))
	case w.version == 4:
		return part(fromIP, places["ip.Protocol"])
	}
	return value32(load{from: fromProtocol}, false)
}

// port answers for the port of the packet's sender or of its receiver. ICMP has none: WinDivert takes the type for the sender's.
func port(t *filter.Test, w world, sender bool) answer {
	switch {
	case w.transport == wire.NoTransport:
		return number(t, 0)
	case w.transport == wire.TCP || w.transport == wire.UDP:
		if sender {
			return part(fromTransport, places["tcp.SrcPort"])
		}
		return part(fromTransport, places["tcp.DstPort"])
	case sender:
		return part(fromTransport, places["icmp.Type"])
	}
	return number(t, 0)
}

func fragment(w world) answer {
	if w.version == 6 {
		a := value32(load{from: fromFragment}, true)
		a.load.mask = fragmentYes
		return a
	}
	a := part(fromIP, place{off: 6, size: 2, mask: 0x3fff}) // MF and offset
	a.flag = true
	return a
}

func b2u(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}

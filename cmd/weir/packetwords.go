package main

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/inject/craft"
)

// packetGrammar is what packetOf reads, for help and errors.
const packetGrammar = "[out|in|loopback|forward] tcp|udp|ping SRC > DST [syn ack fin rst psh urg] [ttl N] [seq N] [len N], with SRC and DST as ADDR:PORT or [ADDR]:PORT, of a ping without port"

// packetOf makes a packet of words: "tcp 10.0.0.1:5000 > 1.2.3.4:443 syn". It is outbound unless the words say otherwise.
func packetOf(text string) (*divertdrv.Packet, error) {
	w := &packetWords{rest: strings.Fields(text), outbound: true, ttl: 64}
	b, err := w.read()
	if err != nil {
		return nil, fmt.Errorf("%w\n  in %q; a packet in words is %s", err, text, packetGrammar)
	}
	var h wire.Headers
	wire.Parse(b, &h)
	wire.SetTTL(b, &h, w.ttl)
	var a divertdrv.Address
	a.SetLayer(w.layer, addr.EventPacket)
	a.SetOutbound(w.outbound)
	a.SetLoopback(w.loopback)
	a.SetIPv6(h.Version == 6)
	a.SetChecksums(true)
	return divertdrv.NewPacket(a, b), nil
}

type packetWords struct {
	rest []string

	layer              divertdrv.Layer
	outbound, loopback bool
	segment            craft.Segment
	payload            int
	ttl                uint8
}

func (w *packetWords) read() ([]byte, error) {
	w.way()
	protocol := w.next()
	src, arrow, dst := w.next(), w.next(), w.next()
	if arrow != ">" {
		return nil, fmt.Errorf("want PROTOCOL SRC > DST, got %q where > should be", arrow)
	}
	if err := w.details(protocol == "tcp"); err != nil {
		return nil, err
	}
	payload := make([]byte, w.payload)
	switch protocol {
	case "tcp", "udp":
		from, err := netip.ParseAddrPort(src)
		if err != nil {
			return nil, fmt.Errorf("source %q: %w", src, err)
		}
		to, err := netip.ParseAddrPort(dst)
		if err != nil {
			return nil, fmt.Errorf("destination %q: %w", dst, err)
		}
		if protocol == "udp" {
			return craft.UDP(from, to, payload)
		}
		return craft.TCP(from, to, w.segment, payload)
	case "ping":
		from, err := netip.ParseAddr(src)
		if err != nil {
			return nil, fmt.Errorf("source %q: %w", src, err)
		}
		to, err := netip.ParseAddr(dst)
		if err != nil {
			return nil, fmt.Errorf("destination %q: %w", dst, err)
		}
		return craft.Echo(from, to, 1, 1, payload)
	}
	return nil, fmt.Errorf("unknown protocol %q: want tcp, udp or ping", protocol)
}

func (w *packetWords) next() string {
	if len(w.rest) == 0 {
		return ""
	}
	word := w.rest[0]
	w.rest = w.rest[1:]
	return word
}

// way reads the direction, if there is one.
func (w *packetWords) way() {
	if len(w.rest) == 0 {
		return
	}
	switch w.rest[0] {
	case "out":
	case "in":
		w.outbound = false
	case "loopback":
		w.loopback = true
	case "forward":
		w.layer = divertdrv.NetworkForward
	default:
		return
	}
	w.next()
}

var flagsByWord = map[string]wire.TCPFlags{
	"syn": wire.SYN, "ack": wire.ACK, "fin": wire.FIN, "rst": wire.RST, "psh": wire.PSH, "urg": wire.URG,
}

// details reads what stands behind the ends.
func (w *packetWords) details(tcp bool) error {
	for len(w.rest) > 0 {
		word := w.next()
		flag, isFlag := flagsByWord[word]
		switch {
		case isFlag && tcp:
			w.segment.Flags |= flag
			continue
		case isFlag:
			return fmt.Errorf("%s is a flag of tcp", word)
		}
		most := map[string]uint64{"ttl": 255, "seq": 1<<32 - 1, "len": 65000}[word]
		if most == 0 {
			return fmt.Errorf("unknown word %q", word)
		}
		given := w.next()
		n, err := strconv.ParseUint(given, 10, 64)
		if err != nil || n > most {
			return fmt.Errorf("%s %q: want a number up to %d", word, given, most)
		}
		switch word {
		case "ttl":
			w.ttl = uint8(n)
		case "seq":
			w.segment.Seq = uint32(n)
		case "len":
			w.payload = int(n)
		}
	}
	return nil
}

package processor

import (
	"fmt"
	"strings"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/wire"
)

// Describe says in a line what a packet is: direction, ends, and what its transport says.
func Describe(p *divertdrv.Packet) string {
	h := p.Headers()
	way := "inbound"
	switch {
	case p.Addr.Layer() == divertdrv.NetworkForward:
		way = "forwarded"
	case p.Addr.Loopback():
		way = "loopback"
	case p.Addr.Outbound():
		way = "outbound"
	}
	if h.Version == 0 {
		return fmt.Sprintf("%s, %d bytes that are no IP packet", way, len(p.Data))
	}
	src, dst, _ := h.Endpoints(p.Data)
	ends := fmt.Sprintf("%v > %v", src.Addr(), dst.Addr())
	if h.Transport == wire.TCP || h.Transport == wire.UDP {
		ends = fmt.Sprintf("%s > %s", endpoint(src), endpoint(dst))
	}
	what := []string{way, transportName(h), ends}
	if h.Transport == wire.TCP {
		what = append(what, flagWords(h.TCP(p.Data).Flags()))
	}
	if h.Fragment {
		what = append(what, "fragment")
	}
	return strings.TrimRight(strings.Join(what, " "), " ") + fmt.Sprintf(", %d bytes", len(p.Data))
}

func endpoint(e wire.Endpoint) string {
	if a := e.Addr(); a.Is6() {
		return fmt.Sprintf("[%v]:%d", a, e.Port)
	}
	return fmt.Sprintf("%v:%d", e.Addr(), e.Port)
}

func transportName(h *wire.Headers) string {
	if h.Transport != wire.NoTransport {
		return h.Transport.String()
	}
	return fmt.Sprintf("protocol %d", h.Proto)
}

// flagNames are in the order in which tools print them.
var flagNames = []struct {
	flag wire.TCPFlags
	name string
}{{wire.SYN, "syn"}, {wire.FIN, "fin"}, {wire.RST, "rst"}, {wire.PSH, "psh"}, {wire.ACK, "ack"}, {wire.URG, "urg"}}

func flagWords(f wire.TCPFlags) string {
	var words []string
	for _, n := range flagNames {
		if f&n.flag != 0 {
			words = append(words, n.name)
		}
	}
	return strings.Join(words, " ")
}

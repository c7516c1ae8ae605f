package simdrv

import (
	"net/netip"

	"github.com/weirnet/weir/divertdrv/wire"
)

// conversation is one TCP connection between the local host (side 0) and a peer (side 1).
//
//	SYN ▶ SYN+ACK ▶ ACK ▶ request ▶ response and its acknowledgements … ▶ FIN ▶ FIN ▶ ACK ▶ a new one
//	    └▶ RST (refused)                                             └▶ RST (broken off)
type conversation struct {
	step   step
	client int // the side that opened it
	side   [2]endpoint
	chunks int // segments of the response to come
	acked  int // segments since the last acknowledgement
}

type endpoint struct {
	at   netip.AddrPort
	next uint32 // sequence number of the next byte
}

type step uint8

const (
	fresh step = iota
	greeted
	accepted
	requesting
	responding
	closing
	closed
)

// Flags of a TCP header (RFC 9293 3.1).
const (
	fin, syn, rst, psh, ack = 1, 2, 4, 8, 16
)

var serverPorts = [...]uint16{443, 443, 443, 80, 80, 22, 25, 23, 8080, 853}

var request = []byte("GET /index.html HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: traffic\r\nAccept: */*\r\n\r\n")

// Options as Linux sends them: maximum segment, SACK, timestamps, window scale; and timestamps alone (RFC 7323, RFC 2018).
var (
	synOptions  = []byte{2, 4, 0x05, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7}
	dataOptions = []byte{1, 1, 8, 10, 0, 0, 0, 2, 0, 0, 0, 1}
)

// makeTCP takes a conversation one packet further and says whether the local host sent it.
func (t *Traffic) makeTCP(c *conversation) (outbound bool) {
	client, server := c.client, 1-c.client
	switch c.step {
	case fresh:
		return t.open(c)
	case greeted:
		if t.chance(4) {
			c.step = fresh
			return t.segment(c, server, rst|ack, nil)
		}
		c.step = accepted
		return t.segment(c, server, syn|ack, nil)
	case accepted:
		c.step = requesting
		return t.segment(c, client, ack, nil)
	case requesting:
		c.step, c.chunks = responding, 1+t.rng.IntN(30)
		return t.segment(c, client, psh|ack, t.ask(c))
	case responding:
		return t.respond(c)
	case closing:
		c.step = closed
		return t.segment(c, server, fin|ack, nil)
	default:
		c.step = fresh
		return t.segment(c, client, ack, nil)
	}
}

// open starts a new connection with its SYN; one in four is opened by the peer.
func (t *Traffic) open(c *conversation) bool {
	local, remote := t.pair(t.chance(35))
	c.client = 0
	if t.chance(25) {
		c.client = 1
	}
	ports := [2]uint16{}
	ports[c.client] = uint16(32768 + t.rng.IntN(28000))
	ports[1-c.client] = serverPorts[t.rng.IntN(len(serverPorts))]
	c.side[0] = endpoint{netip.AddrPortFrom(local, ports[0]), t.rng.Uint32()}
	c.side[1] = endpoint{netip.AddrPortFrom(remote, ports[1]), t.rng.Uint32()}
	c.step, c.acked = greeted, 0
	return t.segment(c, c.client, syn, nil)
}

// ask returns what the client says: readable where the port is HTTP's.
func (t *Traffic) ask(c *conversation) []byte {
	if port := c.side[1-c.client].at.Port(); port == 80 || port == 8080 {
		return request
	}
	return t.some(40 + t.rng.IntN(480))
}

// respond sends the next segment of the response, an acknowledgement after every second, or begins the end.
func (t *Traffic) respond(c *conversation) bool {
	client, server := c.client, 1-c.client
	switch {
	case c.acked == 2 || c.chunks == 0 && c.acked > 0:
		c.acked = 0
		return t.segment(c, client, ack, nil)
	case c.chunks == 0 && t.chance(10):
		c.step = fresh
		return t.segment(c, server, rst|ack, nil)
	case c.chunks == 0:
		c.step = closing
		return t.segment(c, client, fin|ack, nil)
	}
	c.chunks--
	c.acked++
	n := c.segmentMax()
	if c.chunks == 0 {
		n = 1 + t.rng.IntN(n)
	}
	return t.segment(c, server, psh|ack, t.some(n))
}

// segmentMax is the largest payload of the conversation, as its MSS and options leave it.
func (c *conversation) segmentMax() int {
	ip := wire.IPv4HeaderLen
	if c.side[0].at.Addr().Is6() {
		ip = wire.IPv6HeaderLen
	}
	return frameMTU - ip - wire.TCPHeaderLen - len(dataOptions)
}

// segment makes one packet from side to the other.
func (t *Traffic) segment(c *conversation, side int, flags byte, payload []byte) (outbound bool) {
	src, dst := &c.side[side], &c.side[1-side]
	options := dataOptions
	if flags&syn != 0 {
		options = synOptions
	} else if flags&rst != 0 {
		options = nil
	}
	t.start(src.at.Addr(), dst.at.Addr(), wire.ProtoTCP)
	t.add16(src.at.Port())
	t.add16(dst.at.Port())
	t.add32(src.next)
	if flags&ack != 0 {
		t.add32(dst.next)
	} else {
		t.add32(0)
	}
	const window = 64240
	t.add(byte(wire.TCPHeaderLen+len(options))/4<<4, flags)
	t.add16(window)
	t.add32(0) // checksum, urgent pointer
	t.add(options...)
	t.add(payload...)
	t.finish()
	src.next += uint32(len(payload))
	if flags&(syn|fin) != 0 {
		src.next++
	}
	return side == 0
}

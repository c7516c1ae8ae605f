package main

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/wire"
)

// dumped is a packet, as `weir dump --json` prints it.
type dumped struct {
	Time      string         `json:"time"`      // RFC 3339, UTC
	Direction string         `json:"direction"` // in, out, loop, fwd
	Interface string         `json:"interface,omitempty"`
	IfIdx     uint32         `json:"interface_index,omitempty"`
	Protocol  string         `json:"protocol"`      // tcp, udp, icmp, icmpv6, a number, or "none" of what is not IP
	Src       string         `json:"src,omitempty"` // with the port, if there is one
	Dst       string         `json:"dst,omitempty"`
	Flags     []string       `json:"flags,omitempty"` // of TCP
	Seq       *uint32        `json:"seq,omitempty"`   // of TCP
	Ack       *uint32        `json:"ack,omitempty"`   // of TCP, valid iff the flag ACK is set
	ICMPType  *uint8         `json:"icmp_type,omitempty"`
	ICMPCode  *uint8         `json:"icmp_code,omitempty"`
	Fragment  *piece         `json:"fragment,omitempty"`
	Length    int            `json:"length"`             // bytes, from the IP header
	Here      int            `json:"here,omitempty"`     // of them, where not all are
	Impostor  bool           `json:"impostor,omitempty"` // somebody injected it
	Process   *dumpedProcess `json:"process,omitempty"`  // of this host that has its socket open, where it can be told
}

// piece is where a fragment belongs.
type piece struct {
	Offset uint16 `json:"offset"`
	More   bool   `json:"more"`
}

// dumpLines writes packets as lines.
type dumpLines struct {
	asJSON bool
	names  map[uint32]string // of interfaces, as they were when first seen
}

// write writes one packet, which was seen at a time.
func (l *dumpLines) write(w io.Writer, d *dumped, at time.Time) error {
	d.Interface = l.name(d.IfIdx)
	line, err := d.text(at), error(nil)
	if l.asJSON {
		line, err = jsonLine(d)
	}
	if err == nil {
		_, err = io.WriteString(w, line+"\n")
	}
	return err
}

// name is that of an interface of this host; empty: it is not known.
func (l *dumpLines) name(index uint32) string {
	if index == 0 {
		return ""
	}
	name, known := l.names[index]
	if !known {
		if i, err := net.InterfaceByIndex(int(index)); err == nil {
			name = i.Name
		}
		l.names[index] = name
	}
	return name
}

// stamp is when a packet was seen.
func stamp(p *divertdrv.Packet) time.Time { return time.Unix(0, p.Addr.Timestamp) }

func describe(p *divertdrv.Packet) *dumped {
	h := p.Headers()
	d := &dumped{
		Time: stamp(p).UTC().Format(time.RFC3339Nano), Direction: direction(p.Addr), IfIdx: p.Addr.IfIdx(),
		Protocol: "none", Length: len(p.Data), Impostor: p.Addr.Impostor(),
	}
	if h.Version == 0 {
		return d
	}
	if d.Length = max(int(h.Total), len(p.Data)); d.Length > len(p.Data) {
		d.Here = len(p.Data)
	}
	if h.Fragment {
		d.Fragment = &piece{h.FragOff, h.MoreFrags}
	}
	d.Protocol = fmt.Sprint(h.Proto)
	if known := map[uint8]string{wire.ProtoTCP: "tcp", wire.ProtoUDP: "udp", wire.ProtoICMP: "icmp", wire.ProtoICMPv6: "icmpv6"}[h.Proto]; known != "" {
		d.Protocol = known
	}
	d.ends(p, h)
	return d
}

func direction(a *divertdrv.Address) string {
	switch {
	case a.Layer() == divertdrv.NetworkForward:
		return "fwd"
	case a.Loopback():
		return "loop"
	case a.Outbound():
		return "out"
	}
	return "in"
}

// ends fills in what the addresses and the transport header say.
func (d *dumped) ends(p *divertdrv.Packet, h *divertdrv.Headers) {
	var src, dst netip.Addr
	if h.Version == 4 {
		ip := h.IPv4(p.Data)
		src, dst = ip.Src(), ip.Dst()
	} else {
		ip := h.IPv6(p.Data)
		src, dst = ip.Src(), ip.Dst()
	}
	d.Src, d.Dst = src.String(), dst.String()
	ports := func(a, b uint16) {
		d.Src, d.Dst = netip.AddrPortFrom(src, a).String(), netip.AddrPortFrom(dst, b).String()
	}
	switch h.Transport {
	case wire.TCP:
		t := h.TCP(p.Data)
		ports(t.SrcPort(), t.DstPort())
		d.tcp(t)
	case wire.UDP:
		u := h.UDP(p.Data)
		ports(u.SrcPort(), u.DstPort())
	case wire.ICMP:
		m := h.ICMP(p.Data)
		d.icmp(m.Type(), m.Code())
	case wire.ICMPv6:
		m := h.ICMPv6(p.Data)
		d.icmp(m.Type(), m.Code())
	}
}

func (d *dumped) icmp(typ, code uint8) { d.ICMPType, d.ICMPCode = &typ, &code }

// flagNames are in the order of the bits, the lowest first.
var flagNames = [...]string{"FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR", "AE"}

func (d *dumped) tcp(t *wire.TCPHeader) {
	for i, name := range flagNames {
		if t.Flags()&(1<<i) != 0 {
			d.Flags = append(d.Flags, name)
		}
	}
	seq := t.Seq()
	d.Seq = &seq
	if t.Flags()&wire.ACK != 0 {
		ack := t.Ack()
		d.Ack = &ack
	}
}

// text is the line for people, with the time of day of this host.
func (d *dumped) text(at time.Time) string {
	var b strings.Builder
	name := d.Interface
	switch {
	case name == "" && d.IfIdx != 0:
		name = fmt.Sprint("if", d.IfIdx)
	case name == "":
		name = "-"
	}
	fmt.Fprintf(&b, "%s %-4s %-6s %s", at.Format("15:04:05.000000"), d.Direction, name, d.Protocol)
	if d.Src != "" {
		fmt.Fprintf(&b, " %s > %s", d.Src, d.Dst)
	}
	if d.Seq != nil {
		fmt.Fprintf(&b, " [%s] seq %d", strings.Join(d.Flags, " "), *d.Seq)
	}
	if d.Ack != nil {
		fmt.Fprintf(&b, " ack %d", *d.Ack)
	}
	if d.ICMPType != nil {
		fmt.Fprintf(&b, " type %d code %d", *d.ICMPType, *d.ICMPCode)
	}
	if f := d.Fragment; f != nil {
		fmt.Fprintf(&b, " fragment at %d", f.Offset)
		if !f.More {
			b.WriteString(", the last")
		}
	}
	if d.Impostor {
		b.WriteString(" injected")
	}
	fmt.Fprintf(&b, " len %d", d.Length)
	if d.Here > 0 {
		fmt.Fprintf(&b, " (%d here)", d.Here)
	}
	if d.Process != nil {
		fmt.Fprintf(&b, " %s", d.Process)
	}
	return b.String()
}

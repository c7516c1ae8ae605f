package pcapdrv

import (
	"net/netip"

	"github.com/weirnet/weir/divertdrv/wire"
)

// locals knows which addresses are those of the host that captured, by the rule in the package comment.
type locals struct {
	prefixes []netip.Prefix      // as the user gave them; empty: learnt
	learnt   [classes]netip.Addr // the first source of each class
}

// Addresses are learnt in classes, since a host has one of each.
const (
	classIPv4 = iota
	classIPv6LinkLocal
	classIPv6
	classes
)

// place tells the direction of a packet. What the capture itself says comes first.
func (l *locals) place(c *carried) (outbound, loopback bool) {
	src, dst := addresses(c.ip, c.headers.Version)
	if len(l.prefixes) == 0 && c.direction != Inbound {
		l.learn(src)
	}
	switch {
	case c.loopback || src.IsLoopback() && dst.IsLoopback():
		return true, true
	case c.direction != Unknown:
		return c.direction == Outbound, false
	}
	outbound = l.has(src)
	return outbound, outbound && l.has(dst)
}

// learn takes the first source of a class.
func (l *locals) learn(src netip.Addr) {
	if src.IsUnspecified() || src.IsMulticast() || src.IsLoopback() || src == broadcast {
		return
	}
	class := classIPv6
	switch {
	case src.Is4():
		class = classIPv4
	case src.IsLinkLocalUnicast():
		class = classIPv6LinkLocal
	}
	if !l.learnt[class].IsValid() {
		l.learnt[class] = src
	}
}

var broadcast = netip.AddrFrom4([4]byte{255, 255, 255, 255})

func (l *locals) has(ip netip.Addr) bool {
	if ip.IsLoopback() {
		return true
	}
	for _, p := range l.prefixes {
		if p.Contains(ip) {
			return true
		}
	}
	return ip == l.learnt[classIPv4] || ip == l.learnt[classIPv6LinkLocal] || ip == l.learnt[classIPv6]
}

// addresses reads source and destination of a parsed packet.
func addresses(ip []byte, version uint8) (src, dst netip.Addr) {
	if version == 4 {
		h := (*[wire.IPv4HeaderLen]byte)(ip)
		return netip.AddrFrom4([4]byte(h[12:16])), netip.AddrFrom4([4]byte(h[16:20]))
	}
	h := (*[wire.IPv6HeaderLen]byte)(ip)
	return netip.AddrFrom16([16]byte(h[8:24])), netip.AddrFrom16([16]byte(h[24:40]))
}

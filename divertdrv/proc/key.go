package proc

import (
	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/wire"
)

// Key names a connection as this host sees it, or a socket that has no peer: then Remote is zero.
type Key struct {
	Local, Remote wire.Endpoint
	Proto         uint8 // TCP or UDP
}

// KeyOf returns the key of a packet's flow, and whether it comes in. ok is false for what no socket of this host can be told of:
// routed packets, later fragments, and protocols other than TCP and UDP. A packet between two sockets of this host is its sender's.
func KeyOf(p *divertdrv.Packet) (k Key, inbound, ok bool) {
	h := p.Headers()
	if p.Addr.Layer() == divertdrv.NetworkForward || h.Transport != wire.TCP && h.Transport != wire.UDP {
		return k, false, false
	}
	src, dst, ok := h.Endpoints(p.Data)
	if !ok {
		return k, false, false
	}
	if p.Addr.Outbound() {
		return Key{src, dst, h.Proto}, false, true
	}
	return Key{dst, src, h.Proto}, true, true
}

// wildcards: what a socket is bound to that takes packets to every address of IPv4, or of both families.
var (
	anyIPv4 = wire.Endpoint{Lo: 0xffff << 32}
	anyIP   = wire.Endpoint{}
)

// bound lists the sockets without a peer that a packet of k may be of, the most particular first.
func (k Key) bound() [3]Key {
	at := func(e wire.Endpoint) Key {
		e.Port = k.Local.Port
		return Key{Local: e, Proto: k.Proto}
	}
	list := [3]Key{at(k.Local), at(anyIP), at(anyIP)}
	if k.Local.Hi == 0 && k.Local.Lo>>32 == 0xffff {
		list[1] = at(anyIPv4)
	}
	return list
}

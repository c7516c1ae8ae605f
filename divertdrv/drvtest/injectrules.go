package drvtest

import (
	"bytes"
	"unsafe"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
)

var injectRules = []Rule{
	{"inject/outbound-leaves", "WinDivert 5.7, Outbound", []need{needInject}, injectOutbound},
	{"inject/inbound-reaches-the-host", "WinDivert 5.7, Outbound", []need{needInjectInbound}, injectInbound},
	{"inject/order", "divertdrv.Conn.Inject", []need{needInject}, injectOrder},
	{"inject/owed-checksums-are-computed", "WinDivert 5.7, or the *Checksum flag unset", []need{needInject}, injectOwed},
	{"inject/final-checksums-are-trusted", "WinDivert 5.7, must have the correct checksums", []need{needInject}, injectFinal},
	{"inject/until-one-fails", "divertdrv.Handle.Inject", []need{needInject}, injectPartly},
	{"inject/malformed", "WinDivert 5.7; divertdrv.ErrMalformed", []need{needInject}, injectMalformed},
	{"inject/the-packet-stays-the-caller's", "divertdrv.Handle.Inject", []need{needInject}, injectOwner},
	{"inject/what-lower-handles-are-told", "WinDivert 5.3, most fields are ignored", []need{needInject}, injectAddress},
	{"inject/alignment", "divertdrv.Caps.HeaderAlign", []need{needInject}, injectAlign},
	{"inject/inbound-at-an-interface-that-is", "WinDivert 5.7, assumed to contain valid interface numbers", []need{needInjectInbound, needInterfaces}, injectInterface},
	{"inject/nothing", "divertdrv.Handle.Inject", nil, injectNothing},
	{"inject/forward", "WinDivert 5.7, NETWORK_FORWARD", []need{needForwardInject}, injectForward},
	{"inject/only-with-caps", "divertdrv.Caps.Inject", nil, injectCaps},
}

func injectOutbound(p *probe) {
	h := p.open(0, 0)
	for n, six := range []bool{false, true} {
		pk := p.free(spec{n: n, ipv6: six})
		p.inject(h, pk)
		out := p.hasLeft(n)[0]
		if d := differ(out.Data, pk.Data); out.AtHost || d != "" {
			p.Errorf("at the host: %v; %s", out.AtHost, d)
		}
	}
}

func injectInbound(p *probe) {
	h, low := p.open(1, 0), p.open(0, 0)
	for n, six := range []bool{false, true} {
		pk := p.free(spec{n: n, way: Inbound, ipv6: six})
		p.inject(h, pk)
		if a := p.pass(low, n)[0].Addr; a.Outbound() || a.Loopback() {
			p.Errorf("to the handle below: outbound %v, loopback %v", a.Outbound(), a.Loopback())
		}
		out := p.hasLeft(n)[0]
		if d := differ(out.Data, pk.Data); !out.AtHost || d != "" {
			p.Errorf("at the host: %v; %s", out.AtHost, d)
		}
	}
}

func injectOrder(p *probe) {
	h := p.open(0, 0)
	var all []divertdrv.Packet
	for n := range divertdrv.BatchMax {
		all = append(all, *p.free(spec{n: n}))
	}
	n, err := h.Inject(all)
	p.isErr("Inject", err, nil)
	p.is("went in", uint64(n), divertdrv.BatchMax)
	st := h.Stats()
	p.is("completed", st.Completed, divertdrv.BatchMax)
	p.hasLeft(seq(0, divertdrv.BatchMax-1)...)
}

// A checksum that the address does not call final may be whatever it likes before.
func injectOwed(p *probe) {
	h := p.open(0, 0)
	for n, six := range []bool{false, true} {
		pk := p.free(spec{n: n, ipv6: six})
		want := bytes.Clone(pk.Data)
		pk.Addr.SetChecksums(false)
		pk.Data[pk.Headers().TransportOff+6] ^= 0xff
		if !six {
			pk.Data[10] ^= 0xff
		}
		p.inject(h, pk)
		if d := differ(p.hasLeft(n)[0].Data, want); d != "" {
			p.Errorf("checksums: %s", d)
		}
	}
}

func injectFinal(p *probe) {
	h := p.open(0, 0)
	pk := p.free(spec{n: 1, badSum: true})
	want := bytes.Clone(pk.Data)
	p.inject(h, pk)
	if d := differ(p.hasLeft(1)[0].Data, want); d != "" {
		p.Errorf("a checksum that is called final was not taken for it: %s", d)
	}
}

func injectPartly(p *probe) {
	h := p.open(0, 0)
	broken := p.free(spec{n: 3})
	broken.Data = append(broken.Data[:2:2], make([]byte, 10)...)
	all := []divertdrv.Packet{*p.free(spec{n: 1}), *p.free(spec{n: 2}), *broken, *p.free(spec{n: 4})}
	n, err := h.Inject(all)
	p.is("went in", uint64(n), 2)
	p.isErr("the next", err, divertdrv.ErrMalformed)
	p.hasLeft(1, 2)
	st := h.Stats()
	p.is("completed", st.Completed, 2)
	p.is("failed", st.Failed, 1)
}

// The suite asks for what no driver can send: nothing, half a header, a version that is not IP, a length that is not its own.
func injectMalformed(p *probe) {
	h := p.open(0, 0)
	whole := p.free(spec{n: 1}).Data
	foreign := bytes.Clone(whole)
	foreign[0] = 0x95
	long := bytes.Clone(whole)
	long[3]++
	for _, data := range [][]byte{{}, whole[:19], foreign, long, append(bytes.Clone(whole), 0)} {
		pk := p.free(spec{})
		*pk = *divertdrv.NewPacket(*pk.Addr, data)
		n, err := h.Inject([]divertdrv.Packet{*pk})
		p.is("went in", uint64(n), 0)
		p.isErr("Inject", err, divertdrv.ErrMalformed)
	}
	p.hasLeft()
}

// The driver keeps nothing of a packet, so its owner may use the memory again.
func injectOwner(p *probe) {
	h, low := p.open(1, 0), p.open(0, 0)
	pk := p.free(spec{n: 1})
	want := bytes.Clone(pk.Data)
	p.inject(h, pk)
	if d := differ(pk.Data, want); d != "" {
		p.Errorf("Inject changed the caller's packet: %s", d)
	}
	clear(pk.Data)
	*pk.Addr = divertdrv.Address{}
	if d := differ(p.pass(low, 1)[0].Data, want); d != "" {
		p.Errorf("a packet changed behind its injection: %s", d)
	}
	p.hasLeft(1)
}

// What the driver knows better than who injects, it sets: the layer and event, the family, and that this is no copy.
func injectAddress(p *probe) {
	h, low := p.open(1, 0), p.open(0, 0)
	for n, six := range []bool{false, true} {
		pk := p.free(spec{n: n, ipv6: six})
		pk.Addr.SetLayer(addr.LayerSocket, addr.EventAccept)
		pk.Addr.SetIPv6(!six)
		pk.Addr.SetSniffed(true)
		p.inject(h, pk)
		a := p.pass(low, n)[0].Addr
		if a.Layer() != divertdrv.Network || a.Event() != addr.EventPacket || a.IPv6() != six || a.Sniffed() || !a.Outbound() || a.Timestamp == 0 {
			p.Errorf("layer %v, event %v, IPv6 %v, sniffed %v, outbound %v, timestamp %d",
				a.Layer(), a.Event(), a.IPv6(), a.Sniffed(), a.Outbound(), a.Timestamp)
		}
	}
	p.hasLeft(0, 1)
}

// What is aligned as Caps ask goes in; what is not is refused, not bent.
func injectAlign(p *probe) {
	h := p.open(0, 0)
	align := max(h.Caps().HeaderAlign, 1)
	data := p.w.build(spec{n: 1})
	room := make([]byte, len(data)+128)
	start := int(-uintptr(unsafe.Pointer(&room[0])) & 63)
	for off := range 16 {
		pk := p.free(spec{n: off})
		copy(room[start+off:], pk.Data)
		pk.Data = room[start+off : start+off+len(data)]
		n, err := h.Inject([]divertdrv.Packet{*pk})
		if off%align != 0 {
			p.isErr("a misaligned header", err, divertdrv.ErrMisaligned)
			continue
		}
		p.isErr("an aligned header", err, nil)
		p.is("went in", uint64(n), 1)
		p.hasLeft(off)
	}
}

func injectInterface(p *probe) {
	h := p.open(0, 0)
	pk := p.free(spec{n: 1, way: Inbound})
	pk.Addr.SetInterface(0x7fff_fff7, 0)
	n, err := h.Inject([]divertdrv.Packet{*pk})
	p.is("went in", uint64(n), 0)
	p.isErr("Inject at no interface", err, divertdrv.ErrInvalid)
	p.hasLeft()
}

func injectNothing(p *probe) {
	h := p.open(0, 0)
	n, err := h.Inject(nil)
	p.isErr("Inject of nothing", err, nil)
	st := h.Stats()
	p.is("injected", uint64(n)+st.Injected, 0)
}

func injectForward(p *probe) {
	h := p.openAt(filterAll, divertdrv.NetworkForward, divertdrv.Options{})
	low := p.openAt(filterAll, divertdrv.NetworkForward, divertdrv.Options{Priority: -1})
	pk := p.free(spec{n: 1, way: Forwarded})
	pk.Addr.SetOutbound(false) // ignored at this layer
	p.inject(h, pk)
	if a := p.pass(low, 1)[0].Addr; !a.Outbound() || a.Layer() != divertdrv.NetworkForward {
		p.Errorf("outbound %v, layer %v", a.Outbound(), a.Layer())
	}
	if p.hasLeft(1)[0].AtHost {
		p.Errorf("a forwarded packet came out at the host")
	}
}

// Where there is no injection it says so.
func injectCaps(p *probe) {
	h := p.open(0, 0)
	for _, c := range []struct {
		can bool
		way Way
	}{{p.w.Caps.Inject, Outbound}, {p.w.Caps.Inject && p.w.Caps.InjectInbound, Inbound}} {
		_, err := h.Inject([]divertdrv.Packet{*p.free(spec{n: 1, way: c.way})})
		if c.can {
			p.isErr("Inject", err, nil)
		} else {
			p.isErr("Inject", err, divertdrv.ErrUnsupported)
		}
	}
	p.gather()
}

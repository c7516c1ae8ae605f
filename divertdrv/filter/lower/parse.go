package lower

import (
	"github.com/cilium/ebpf/asm"

	"github.com/weirnet/weir/divertdrv/wire"
)

// MaxExtensions is how many IPv6 extension headers a program steps over. RFC 8200 4.1 asks for at most eight; a packet with more
// than MaxExtensions is one that user space must be asked about, where it could match.
const MaxExtensions = 16

// parse writes the instructions that find the headers as wire.Parse does, and go on at the world's entry:
//
//  1. copy the fixed header of IPv4; what is shorter, or of another version, matches nothing
//  2. the packet ends where the IP header says, if there are as many bytes; see total
//  3. IPv6: step over extension headers (walk.go)
//  4. the transport header, if it is there as a whole (dispatch.go)
//
// Each step is left out where no test depends on it.
func (e *emitter) parse() {
	if e.anyNeeds().impostor {
		e.add(storeSlot(impostorSlot, asm.R0))
	}
	e.add(loadContext(length, skbLen), asm.JLT.Imm(length, wire.IPv4HeaderLen, labelNoMatch), asm.Mov.Imm(asm.R2, 0))
	e.add(loadBytes(ipArea, wire.IPv4HeaderLen)...)
	v4, v6 := e.fresh(), e.fresh()
	e.add(
		asm.LoadMem(asm.R1, asm.RFP, ipArea, asm.Byte), asm.Mov.Reg(asm.R2, asm.R1), asm.RSh.Imm(asm.R2, 4),
		asm.JEq.Imm(asm.R2, 4, v4), asm.JEq.Imm(asm.R2, 6, v6),
	)
	e.jump(reject)
	e.here(v4)
	e.ipv4()
	e.here(v6)
	e.ipv6()
}

func (e *emitter) anyNeeds() (all needs) {
	for _, n := range e.needs {
		all = all.or(n)
	}
	return all
}

// version is the worlds of one IP version.
type version struct {
	none   int // the world without transport
	worlds []int
}

var (
	version4 = version{v4None, []int{v4None, v4TCP, v4UDP, v4ICMP}}
	version6 = version{v6None, []int{v6None, v6TCP, v6UDP, v6ICMP, v6Pending}}
)

// facts returns what the worlds of a version need, and whether it matters which of them a packet is in.
func (e *emitter) facts(v version) (all needs, differ bool) {
	for _, w := range v.worlds {
		all = all.or(e.needs[w])
		differ = differ || e.g.entry[w] != e.g.entry[v.none]
	}
	return all, differ || all.transport || all.payload || all.protocol || all.fragment
}

// never writes a jump where no packet of a version matches.
func (e *emitter) never(v version, differ bool) bool {
	if differ || e.g.entry[v.none] != reject {
		return false
	}
	e.jump(reject)
	return true
}

// ipv4 goes on from the first byte of the header in R1.
func (e *emitter) ipv4() {
	needs, differ := e.facts(version4)
	if e.never(version4, differ) {
		return
	}
	e.add(
		asm.And.Imm(asm.R1, 0xf), asm.LSh.Imm(asm.R1, 2), asm.Mov.Reg(transport, asm.R1),
		asm.JLT.Imm(transport, wire.IPv4HeaderLen, labelNoMatch),
	)
	e.total(2, 0)
	e.add(asm.JLT.Reg(length, transport, labelNoMatch))
	if needs.length {
		e.add(storeSlot(lengthSlot, length))
	}
	if differ {
		e.add(loadBig(asm.R1, ipArea+6, 2)...)
		e.add(asm.And.Imm32(asm.R1, 0x1fff), asm.JNE.Imm32(asm.R1, 0, e.g.entry[v4None].label()),
			asm.LoadMem(protocolR, asm.RFP, ipArea+9, asm.Byte))
		e.dispatch(version4)
		return
	}
	e.jump(e.g.entry[v4None])
}

// total lowers length to what the IP header says, in the 16 bits at off plus more.
//
// Where it says 0, a packet that is to be segmented has more bytes than 16 bits can say (BIG TCP: both IP versions write 0 for a
// packet of more than 65,535 bytes), and all of them count. So a filter decides such a packet by its headers, as it does those
// that it is made of. Any other packet is as long as its header says: 0 bytes, and no packet, in IPv4.
func (e *emitter) total(off int16, more int32) {
	said, fits := e.fresh(), e.fresh()
	e.add(loadBig(asm.R2, ipArea+off, 2)...)
	e.add(asm.JNE.Imm(asm.R2, 0, said), loadContext(asm.R3, skbGSOSize), asm.JNE.Imm(asm.R3, 0, fits))
	e.here(said)
	if more != 0 {
		e.add(asm.Add.Imm(asm.R2, more))
	}
	e.add(asm.JLE.Reg(length, asm.R2, fits), asm.Mov.Reg(length, asm.R2))
	e.here(fits)
}

// ipv6 goes on from the first 20 bytes of the header.
func (e *emitter) ipv6() {
	needs, differ := e.facts(version6)
	if e.never(version6, differ) {
		return
	}
	e.add(asm.JLT.Imm(length, wire.IPv6HeaderLen, labelNoMatch))
	e.total(4, wire.IPv6HeaderLen)
	if needs.length || differ {
		e.add(storeSlot(lengthSlot, length))
	}
	if needs.addresses {
		e.add(asm.Mov.Imm(asm.R2, wire.IPv4HeaderLen))
		e.add(loadBytes(ipArea+wire.IPv4HeaderLen, wire.IPv6HeaderLen-wire.IPv4HeaderLen)...)
	}
	if differ {
		e.walk()
		e.dispatch(version6)
		return
	}
	e.jump(e.g.entry[v6None])
}

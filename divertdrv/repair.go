package divertdrv

import (
	"encoding/binary"

	"github.com/weirnet/weir/divertdrv/wire"
)

// settle makes good what a packet owes before a driver gets it: lengths and checksums that follow from a change, and, where it
// is injected, the checksums that its Address does not call final. A packet that merely passes is not touched: a sum that is
// wrong in it stays wrong, and one that the sender's hardware would have filled in stays open.
//
// A checksum that its Address calls final, and that a change made stale, is computed anew but stays as wrong as it was; one that
// is not final was never right or wrong, and is computed as WinDivert does.
func (p *Packet) settle(injected bool) {
	_, n := p.state()
	if len(p.Data) != n.length { // resliced, which needs no word
		n.changed, n.owes = true, true
	}
	if !n.owes && !injected {
		return
	}
	n.parsed = n.parsed && !n.owes // headers may have been read between two edits
	h := p.Headers()
	open := owed(p.Addr)
	var done wire.Checksums
	if n.owes {
		if n.resized || len(p.Data) != n.length {
			fixLengths(p.Data, h)
			wire.Parse(p.Data, h)
		}
		done = wire.Recompute(p.Data, h, wire.AllSums&^open, n.wrong)
		n.owes = false
	}
	if open != 0 {
		calculated, _ := wire.CalcParsed(p.Data, h, wire.ChecksumFlags(wire.AllSums&^open))
		done |= calculated
	}
	if a := p.Addr; a != nil {
		a.SetIPChecksum(a.IPChecksum() || done&wire.IPSum != 0)
		a.SetTCPChecksum(a.TCPChecksum() || done&wire.TCPSum != 0)
		a.SetUDPChecksum(a.UDPChecksum() || done&wire.UDPSum != 0)
	}
}

// judge says by how much the packet's checksums are wrong; those that are not final cannot be.
func (p *Packet) judge() wire.Wrong {
	h := p.Headers()
	w := wire.Judge(p.Data, h)
	open := owed(p.Addr)
	if open&wire.IPSum != 0 {
		w.IP = 0
	}
	if h.Transport == wire.TCP && open&wire.TCPSum != 0 || h.Transport == wire.UDP && open&wire.UDPSum != 0 {
		w.Transport = 0
	}
	return w
}

// owed returns the checksums that a does not call final. ICMP has no flag: its checksum is always final.
func owed(a *Address) (sums wire.Checksums) {
	if a == nil {
		return 0
	}
	if !a.IPChecksum() {
		sums |= wire.IPSum
	}
	if !a.TCPChecksum() {
		sums |= wire.TCPSum
	}
	if !a.UDPChecksum() {
		sums |= wire.UDPSum
	}
	return sums
}

// fixLengths makes the lengths in IP and UDP headers say how long the packet is. A fragment's UDP length is that of the whole
// datagram, so it is left alone.
func fixLengths(b []byte, h *Headers) {
	switch {
	case h.Version == 4 && len(b) <= 0xffff:
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	case h.Version == 6 && len(b) <= MTUMax:
		binary.BigEndian.PutUint16(b[4:], uint16(len(b)-wire.IPv6HeaderLen))
	default:
		return
	}
	if h.Transport == wire.UDP && !h.Fragment {
		binary.BigEndian.PutUint16(b[h.TransportOff+4:], uint16(uint32(len(b))-h.TransportOff))
	}
}

package pcapdrv

import "encoding/binary"

// block is what gopacket's writer wrote last: one block of pcapng. Two things that it cannot say are put in afterwards: a link
// type above 255, and options of a packet.
type block struct{ b []byte }

// Write takes what gopacket flushes.
func (k *block) Write(p []byte) (int, error) {
	k.b = append(k.b, p...)
	return len(p), nil
}

// reset makes room for the next block; capacity that one giant packet needed stays, at most frameMax and a little.
func (k *block) reset() { k.b = k.b[:0] }

// setLinkType corrects an interface description.
func (k *block) setLinkType(l LinkType) { binary.LittleEndian.PutUint16(k.b[blockHeadLen:], uint16(l)) }

// addOptions adds options to an enhanced packet block that has none: comment, direction and number of the packet, those that the
// record has.
func (k *block) addOptions(r *Record) {
	if r.Comment == "" && r.Direction == Unknown && r.PacketID == 0 {
		return
	}
	k.b = k.b[:len(k.b)-trailerLen]
	if r.Comment != "" {
		comment := r.Comment[:min(len(r.Comment), optCommentMax)]
		k.addHead(optComment, len(comment))
		k.b = append(k.b, comment...)
		k.b = append(k.b, zeros[:-len(comment)&3]...)
	}
	if r.Direction != Unknown {
		k.addHead(optFlags, 4)
		k.b = binary.LittleEndian.AppendUint32(k.b, uint32(r.Direction))
	}
	if r.PacketID != 0 {
		k.addHead(optPacketID, 8)
		k.b = binary.LittleEndian.AppendUint64(k.b, r.PacketID)
	}
	k.addHead(optEnd, 0)
	size := uint32(len(k.b) + trailerLen)
	k.b = binary.LittleEndian.AppendUint32(k.b, size)
	binary.LittleEndian.PutUint32(k.b[4:], size)
}

func (k *block) addHead(code uint16, size int) {
	k.b = binary.LittleEndian.AppendUint16(k.b, code)
	k.b = binary.LittleEndian.AppendUint16(k.b, uint16(size))
}

var zeros [3]byte

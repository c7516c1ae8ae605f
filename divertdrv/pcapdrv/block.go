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

// addDirection adds the option epb_flags to an enhanced packet block that has no options.
func (k *block) addDirection(d Direction) {
	var option [3 * optHeadLen]byte
	binary.LittleEndian.PutUint16(option[0:], optFlags)
	binary.LittleEndian.PutUint16(option[2:], optHeadLen)
	binary.LittleEndian.PutUint32(option[4:], uint32(d))
	body := k.b[:len(k.b)-trailerLen] // behind it, the zeros of option are optEnd
	size := uint32(len(k.b) + len(option))
	k.b = append(body, option[:]...)
	k.b = binary.LittleEndian.AppendUint32(k.b, size)
	binary.LittleEndian.PutUint32(k.b[4:], size)
}

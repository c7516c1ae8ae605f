package pcapdrv

// packet reads the frame of a packet block into f; found is false for any other block.
func (p *pcapng) packet(typ uint32, f *Frame) (found bool, err error) {
	switch typ {
	case blockEnhanced, blockPacket:
		return true, p.enhanced(f, typ == blockPacket)
	case blockSimple:
		return true, p.simple(f)
	}
	return false, nil
}

// enhanced reads an enhanced packet block or the obsolete packet block, whose interface has 16 bits and a count of drops
// behind it. Both have the direction in the lowest two bits of option 2.
func (p *pcapng) enhanced(f *Frame, obsolete bool) error {
	b, err := p.take(packetHeadLen)
	if err != nil {
		return err
	}
	id := p.order.Uint32(b)
	if obsolete {
		id = uint32(p.order.Uint16(b))
	}
	if int64(id) >= int64(len(p.ifaces)) {
		return damaged("a packet of interface %d, and the section describes %d", id, len(p.ifaces))
	}
	i := &p.ifaces[id]
	ticks := uint64(p.order.Uint32(b[4:]))<<32 | uint64(p.order.Uint32(b[8:]))
	have, wire := p.order.Uint32(b[12:]), p.order.Uint32(b[16:])
	*f = Frame{Time: nanoseconds(ticks, i.resolution, i.offset), WireLen: int(max(have, wire)), Link: i.link}
	if err := p.frame(f, have); err != nil {
		return err
	}
	return p.flags(f)
}

// simple reads a simple packet block, which has no time and belongs to the first interface.
func (p *pcapng) simple(f *Frame) error {
	b, err := p.take(4)
	if err != nil {
		return err
	}
	if len(p.ifaces) == 0 {
		return damaged("a simple packet, and the section describes no interface")
	}
	i := &p.ifaces[0]
	wire := p.order.Uint32(b)
	have := wire
	if i.snapLen != 0 {
		have = min(have, i.snapLen)
	}
	*f = Frame{WireLen: int(wire), Link: i.link}
	return p.frame(f, have)
}

// frame reads have bytes and their padding.
func (p *pcapng) frame(f *Frame, have uint32) error {
	if have > frameMax {
		return damaged("a packet claims %d bytes, more than the %d that any capture has", have, frameMax)
	}
	if p.data == nil {
		p.data = make([]byte, frameMax)
	}
	f.Data = p.data[:have:have]
	if err := p.fill(f.Data); err != nil {
		return err
	}
	return p.skip(int(-have & 3))
}

func (p *pcapng) flags(f *Frame) error {
	return p.options(func(code uint16, value []byte) {
		if code == optFlags && len(value) == 4 {
			f.Direction = Direction(p.order.Uint32(value) & 3 % 3)
		}
	})
}

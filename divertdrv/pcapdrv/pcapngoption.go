package pcapdrv

// Options of pcapng blocks (draft-ietf-opsawg-pcapng, sections 3.5, 4.2 and 4.3). Their codes are those of their block.
const (
	optEnd      = 0
	optComment  = 1  // of any block; UTF-8
	optFlags    = 2  // of a packet
	optPacketID = 5  // of a packet
	optTSResol  = 9  // of an interface
	optTSOffset = 14 // of an interface
	optHeadLen  = 4
	optValueMax = 8 // bytes; the longest option that is looked at

	optCommentMax = 0xffff // bytes; more do not fit into an option
)

// options reads the options that are left in the block and gives those of up to optValueMax bytes to see; value is valid
// during the call. Longer ones are skipped.
func (p *pcapng) options(see func(code uint16, value []byte)) error {
	for p.left >= optHeadLen {
		head, err := p.take(optHeadLen)
		if err != nil {
			return err
		}
		code, size := p.order.Uint16(head), int(p.order.Uint16(head[2:]))
		if code == optEnd {
			return nil
		}
		padding := -size & 3
		if size > optValueMax {
			err = p.skip(size + padding)
		} else if err = p.option(code, size, see); err == nil {
			err = p.skip(padding)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *pcapng) option(code uint16, size int, see func(uint16, []byte)) error {
	value, err := p.take(size)
	if err == nil {
		see(code, value)
	}
	return err
}

package pcapdrv

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
)

// The block types of pcapng (draft-ietf-opsawg-pcapng, section 4) that matter to a reader of packets; others are skipped.
const (
	blockSection   = 0x0a0d0d0a
	blockInterface = 1
	blockPacket    = 2 // obsolete
	blockSimple    = 3
	blockEnhanced  = 6
)

const (
	blockHeadLen   = 8 // type, length
	trailerLen     = 4 // length again
	blockLenMin    = blockHeadLen + trailerLen
	byteOrderMagic = 0x1a2b3c4d
	packetHeadLen  = 20      // interface, time, two lengths
	interfacesMax  = 1 << 16 // in one section; a bound on memory
)

// iface is what a packet needs of its interface description.
type iface struct {
	link       LinkType
	resolution uint8 // if_tsresol
	snapLen    uint32
	offset     int64 // if_tsoffset, seconds
}

// pcapng reads the block format by itself: NgReader of gopacket v1.1.19 cuts link types to 8 bits (Linux cooked v2 is 276),
// takes a file that ends inside a block for whole, reserves whatever length a block or snaplen claims, divides by zero at a
// hostile if_tsresol and is wrong by up to 7 % of a second with a binary one, refuses version 1.2, and drops epb_flags. Blocks
// stream through: what is held is one frame, and the interfaces of one section.
type pcapng struct {
	in     *bufio.Reader
	order  binary.ByteOrder
	ifaces []iface
	at     int64  // where the block in hand starts
	size   uint32 // its length
	left   int    // bytes of its body that were not read yet
	head   [packetHeadLen]byte
	data   []byte
}

func newPcapng(in *bufio.Reader) (*pcapng, error) {
	p := &pcapng{in: in, order: binary.LittleEndian}
	typ, err := p.begin()
	if err == nil {
		err = p.block(typ)
	}
	if err == nil {
		err = p.end()
	}
	return p, err
}

func (p *pcapng) offset() int64 { return p.at }

func (p *pcapng) next(f *Frame) error {
	for {
		typ, err := p.begin()
		if err != nil {
			return err
		}
		found, err := p.packet(typ, f)
		if err == nil && !found {
			err = p.block(typ)
		}
		if err == nil {
			err = p.end()
		}
		if err != nil || found {
			return err
		}
	}
}

// begin reads the head of a block. io.EOF: the file ends before it.
func (p *pcapng) begin() (typ uint32, err error) {
	p.at += int64(p.size)
	p.size, p.left = 0, 0
	head, err := p.in.Peek(blockLenMin)
	switch {
	case len(head) == 0 && err == io.EOF:
		return 0, io.EOF
	case err == io.EOF:
		return 0, cut("block", len(head), blockLenMin)
	case err != nil:
		return 0, err
	}
	// The type of a section is the same in both byte orders; the mark behind it says how to read the rest, its length too.
	if typ = p.order.Uint32(head); typ == blockSection && !p.setOrder(head[blockHeadLen:]) {
		return 0, damaged("a section header has the byte order mark % x", head[blockHeadLen:])
	}
	size := p.order.Uint32(head[4:])
	if size < blockLenMin || size%4 != 0 {
		return 0, damaged("a block of type %#x has the length %d, wanted is a multiple of 4 from %d", typ, size, blockLenMin)
	}
	p.size, p.left = size, int(size-blockLenMin)
	_, err = p.in.Discard(blockHeadLen)
	return typ, err
}

func (p *pcapng) setOrder(mark []byte) bool {
	switch uint32(byteOrderMagic) {
	case binary.LittleEndian.Uint32(mark):
		p.order = binary.LittleEndian
	case binary.BigEndian.Uint32(mark):
		p.order = binary.BigEndian
	default:
		return false
	}
	return true
}

// end skips what is left of the block and checks that its length stands behind it again.
func (p *pcapng) end() error {
	if err := p.skip(p.left); err != nil {
		return err
	}
	tail := p.head[:trailerLen]
	if n, err := io.ReadFull(p.in, tail); err != nil {
		return p.ended(n-trailerLen, err)
	}
	if n := p.order.Uint32(tail); n != p.size {
		return damaged("a block starts with the length %d and ends with %d", p.size, n)
	}
	return nil
}

// block reads a block that is no packet.
func (p *pcapng) block(typ uint32) error {
	switch typ {
	case blockSection:
		return p.section()
	case blockInterface:
		return p.describe()
	}
	return nil
}

func (p *pcapng) section() error {
	b, err := p.take(16) // mark, version, length of the section, which is not needed
	if err != nil {
		return err
	}
	major, minor := p.order.Uint16(b[4:]), p.order.Uint16(b[6:])
	if major != 1 || minor != 0 && minor != 2 { // 1.2 is 1.0 by another name (draft, section 4.1)
		return fmt.Errorf("%w: a section of version %d.%d, wanted is 1.0 or 1.2", ErrFormat, major, minor)
	}
	p.ifaces = p.ifaces[:0]
	return nil
}

func (p *pcapng) describe() error {
	if len(p.ifaces) == interfacesMax {
		return damaged("a section has more than %d interfaces", interfacesMax)
	}
	b, err := p.take(8)
	if err != nil {
		return err
	}
	i := iface{link: LinkType(p.order.Uint16(b)), snapLen: p.order.Uint32(b[4:]), resolution: microseconds}
	err = p.options(func(code uint16, value []byte) {
		switch {
		case code == optTSResol && len(value) == 1:
			i.resolution = value[0]
		case code == optTSOffset && len(value) == 8:
			i.offset = int64(p.order.Uint64(value))
		}
	})
	p.ifaces = append(p.ifaces, i)
	return err
}

// take reads n bytes of the body, at most len(p.head); they are valid until the next take.
func (p *pcapng) take(n int) ([]byte, error) {
	b := p.head[:n]
	return b, p.fill(b)
}

// fill reads the next len(b) bytes of the body.
func (p *pcapng) fill(b []byte) error {
	if err := p.fits(len(b)); err != nil {
		return err
	}
	n, err := io.ReadFull(p.in, b)
	p.left -= n
	return p.ended(-trailerLen, err)
}

func (p *pcapng) skip(n int) error {
	if err := p.fits(n); err != nil {
		return err
	}
	n, err := p.in.Discard(n)
	p.left -= n
	return p.ended(-trailerLen, err)
}

func (p *pcapng) fits(n int) error {
	if n > p.left {
		return damaged("a block of %d bytes is too short for what it holds", p.size)
	}
	return nil
}

// ended tells a file that ends inside a block from one that cannot be read; trailer is how much of that is missing, negative.
func (p *pcapng) ended(trailer int, err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return cut("block", int(p.size)-p.left+trailer, int(p.size))
	}
	return err
}

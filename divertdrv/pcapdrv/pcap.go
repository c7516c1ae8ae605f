package pcapdrv

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/google/gopacket/pcapgo"
)

// The file format of libpcap (draft-ietf-opsawg-pcap): a header of 24 bytes, and 16 bytes before each frame.
const (
	magicMicro      = 0xa1b2c3d4
	magicNano       = 0xa1b23c4d
	pcapHeaderLen   = 24
	pcapRecordLen   = 16
	pcapRecordHave  = 8  // offset of the captured length in a record header
	pcapRecordWire  = 12 // of the length on the wire
	pcapVersionOff  = 4
	pcapLinkTypeOff = 20
)

// pcapFile reads pcap through gopacket. It looks at each record header ahead of it, in the buffer that both share, because
// gopacket keeps 8 bits of the link type, reserves whatever length a header claims, refuses a frame longer on file than on the
// wire, and takes a file that ends behind a record header for whole.
type pcapFile struct {
	in    *bufio.Reader
	r     *pcapgo.Reader
	order binary.ByteOrder
	link  LinkType
	at    int64
}

func newPcap(in *bufio.Reader, order binary.ByteOrder) (*pcapFile, error) {
	header, err := in.Peek(pcapHeaderLen)
	if err == io.EOF {
		return nil, cut("file header", len(header), pcapHeaderLen)
	}
	if err != nil {
		return nil, err
	}
	major, minor := order.Uint16(header[pcapVersionOff:]), order.Uint16(header[pcapVersionOff+2:])
	if major != 2 || minor != 4 {
		return nil, fmt.Errorf("%w: pcap version %d.%d, wanted is 2.4: convert it with editcap -F pcapng", ErrFormat, major, minor)
	}
	// The upper half of the field has the length of the frame check sequence, not the link type.
	link := LinkType(order.Uint32(header[pcapLinkTypeOff:]))
	r, err := pcapgo.NewReader(in) // reads through in itself: its buffer is large enough (bufio.NewReader)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	r.SetSnaplen(frameMax) // the one in the file is often too small (gopacket: SetSnaplen), or a bomb
	return &pcapFile{in: in, r: r, order: order, link: link, at: pcapHeaderLen}, nil
}

func (p *pcapFile) offset() int64 { return p.at }

func (p *pcapFile) next(f *Frame) error {
	have, err := p.admit()
	if err != nil {
		return err
	}
	data, info, err := p.r.ZeroCopyReadPacketData()
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return cutFrame(have)
	}
	if err != nil {
		return err
	}
	p.at += pcapRecordLen + int64(len(data))
	*f = Frame{Time: info.Timestamp.UnixNano(), Data: data, WireLen: info.Length, Link: p.link}
	return nil
}

// admit lets the next record through to gopacket if its header can be believed.
func (p *pcapFile) admit() (have int, err error) {
	header, err := p.in.Peek(pcapRecordLen)
	switch {
	case len(header) == 0 && err == io.EOF:
		return 0, io.EOF
	case err == io.EOF:
		return 0, cut("record header", len(header), pcapRecordLen)
	case err != nil:
		return 0, err
	}
	captured := p.order.Uint32(header[pcapRecordHave:])
	if captured > frameMax {
		return 0, damaged("a record claims %d bytes, more than the %d that any capture has", captured, frameMax)
	}
	if p.order.Uint32(header[pcapRecordWire:]) < captured {
		p.order.PutUint32(header[pcapRecordWire:], captured)
	}
	return int(captured), nil
}

func cutFrame(want int) error {
	return fmt.Errorf("%w: the last frame has less than its %d bytes; it was still being written, or not copied whole: "+
		"record or copy it again, or go on with what was read", ErrTruncated, want)
}

func swapped(n uint32) uint32 { return n<<24 | n>>24 | n<<8&0xff0000 | n>>8&0xff00 }

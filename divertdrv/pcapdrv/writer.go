package pcapdrv

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

// outBuffer is what is gathered before it is written, in bytes.
const outBuffer = 64 << 10

// Record is one packet or frame to write.
type Record struct {
	Time      int64     // nanoseconds since the Unix epoch; a negative one is written as 0, since the format has none
	Data      []byte    // from the header that Link names; not kept
	WireLen   int       // bytes that it had on the wire; less than len(Data) means len(Data)
	Link      LinkType  // LinkRaw: an IP packet
	Direction Direction // Unknown: not noted

	Interface string // name of the interface that the record stands on; empty: "weir", or by the link type
	Comment   string // what people are told of the packet, UTF-8; cut at 65,535 bytes. Empty: none
	PacketID  uint64 // the same for records of the same packet; 0: not noted
}

// Writer writes pcapng: one section, in little-endian order, with times in nanoseconds. Interface 0 is named "weir" and has the
// link type RAW; every further link type, and every name, gets an interface of its own when it first comes. The first error ends it: every
// later Write and Flush returns it. Its methods may be called from any goroutine; they block on the file.
type Writer struct {
	mu     sync.Mutex // guards all below; records must not mix
	out    *bufio.Writer
	ng     *pcapgo.NgWriter
	block  block
	ifaces map[ifaceKey]int
	err    error
}

// ifaceKey tells interfaces apart; no name is the name by link type.
type ifaceKey struct {
	name string
	link LinkType
}

// NewWriter writes the header of the section and interface 0 to w.
func NewWriter(w io.Writer) (*Writer, error) {
	wr := &Writer{out: bufio.NewWriterSize(w, outBuffer), ifaces: map[ifaceKey]int{{link: LinkRaw}: 0}}
	section := pcapgo.NgWriterOptions{SectionInfo: pcapgo.NgSectionInfo{Application: "weir"}}
	var err error
	if wr.ng, err = pcapgo.NewNgWriterInterface(&wr.block, describe("weir", LinkRaw), section); err != nil {
		return nil, err
	}
	return wr, wr.emit(nil)
}

// Write adds a record. It is in the file when Flush or Close of the file's owner says so. An error of the file names no record:
// records are gathered before they are written.
func (w *Writer) Write(r Record) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = w.write(&r)
	}
	return w.err
}

func (w *Writer) write(r *Record) error {
	id, err := w.iface(ifaceKey{r.Interface, r.Link})
	if err != nil {
		return err
	}
	info := gopacket.CaptureInfo{
		Timestamp: time.Unix(0, max(r.Time, 0)), CaptureLength: len(r.Data), Length: max(r.WireLen, len(r.Data)), InterfaceIndex: id,
	}
	if err := w.ng.WritePacket(info, r.Data); err != nil {
		return err
	}
	return w.emit(func() { w.block.addOptions(r) })
}

// iface returns the interface of a name and link type, and describes it when it is new.
func (w *Writer) iface(k ifaceKey) (id int, err error) {
	if id, ok := w.ifaces[k]; ok {
		return id, nil
	}
	name := k.name
	if name == "" {
		name = fmt.Sprintf("weir-link-%d", uint16(k.link))
	}
	if id, err = w.ng.AddInterface(describe(name, k.link)); err != nil {
		return 0, err
	}
	w.ifaces[k] = id
	return id, w.emit(func() { w.block.setLinkType(k.link) })
}

func describe(name string, l LinkType) pcapgo.NgInterface {
	return pcapgo.NgInterface{Name: name, LinkType: layers.LinkType(l & 0xff)}
}

// emit moves the block that gopacket made to the file's buffer, amended.
func (w *Writer) emit(amend func()) error {
	if err := w.ng.Flush(); err != nil {
		return err
	}
	if amend != nil {
		amend()
	}
	_, err := w.out.Write(w.block.b)
	w.block.reset()
	return err
}

// Flush writes what was gathered.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = w.out.Flush()
	}
	return w.err
}

// end flushes and makes every later Write fail with why.
func (w *Writer) end(why error) error {
	err := w.Flush()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = errors.Join(err, why)
	return err
}

package pcapdrv

import (
	"bufio"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
)

// inBuffer is what is read ahead, in bytes, of the file and again of its decompressed form.
const inBuffer = 64 << 10

// Reader reads frames from a capture file: pcap with micro- or nanoseconds in either byte order, pcapng with any number of
// sections and interfaces, either of them compressed with gzip. It holds one record at a time. One goroutine may use it;
// BytesRead may be called by any.
type Reader struct {
	name       string
	compressed bool
	read       atomic.Int64 // bytes of the file itself
	format     format
	frames     uint64
	err        error // what ended it; every later Next returns it
}

// format is one file format. next returns io.EOF behind the last whole record, and any other error at the damage.
type format interface {
	next(f *Frame) error
	offset() int64 // of the record that next reads or failed to read
}

// NewReader reads the file's header. name is for errors. It blocks until r has given a few bytes. The error is a *ReadError.
func NewReader(r io.Reader, name string) (*Reader, error) {
	rd := &Reader{name: name}
	in := bufio.NewReaderSize(&counted{r, &rd.read}, inBuffer)
	err := rd.open(in)
	if err != nil {
		return nil, rd.errorAt(0, unexpected(err))
	}
	return rd, nil
}

func (r *Reader) open(in *bufio.Reader) (err error) {
	if magic, _ := in.Peek(2); len(magic) == 2 && magic[0] == 0x1f && magic[1] == 0x8b { // RFC 1952 2.3.1
		unzip, err := gzip.NewReader(in)
		if err != nil {
			return err
		}
		r.compressed = true
		in = bufio.NewReaderSize(unzip, inBuffer)
	}
	magic, err := in.Peek(4)
	if err != nil && err != io.EOF {
		return err
	}
	r.format, err = newFormat(in, magic)
	return err
}

// newFormat chooses by the first four bytes.
func newFormat(in *bufio.Reader, magic []byte) (format, error) {
	switch {
	case len(magic) == 0:
		return nil, fmt.Errorf("%w: it is empty; was the recording stopped before its first write?", ErrFormat)
	case len(magic) < 4:
		return nil, cut("file header", len(magic), pcapHeaderLen)
	}
	switch binary.BigEndian.Uint32(magic) {
	case magicMicro, magicNano:
		return newPcap(in, binary.BigEndian)
	case swapped(magicMicro), swapped(magicNano):
		return newPcap(in, binary.LittleEndian)
	case blockSection:
		return newPcapng(in)
	}
	return nil, foreign(magic)
}

// Next reads the next frame into f. io.EOF: there are no more. Any other error is a *ReadError; what was read before stands,
// and the reader returns that error from then on. A panic of the capture library is such an error too.
func (r *Reader) Next(f *Frame) error {
	if r.err == nil {
		r.err = r.next(f)
	}
	return r.err
}

func (r *Reader) next(f *Frame) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = r.errorAt(r.format.offset(), damaged("the capture library failed on it: %v", p))
		}
	}()
	switch err = r.format.next(f); err {
	case nil:
		r.frames++
		return nil
	case io.EOF:
		return err
	}
	return r.errorAt(r.format.offset(), unexpected(err))
}

// BytesRead is how much of the file was read, of its compressed form where it is compressed: for a progress bar.
func (r *Reader) BytesRead() int64 { return r.read.Load() }

func (r *Reader) errorAt(offset int64, err error) error {
	return &ReadError{File: r.name, Frames: r.frames, Offset: offset, Compressed: r.compressed, Err: err}
}

// unexpected tells in our words what gzip says of a file that is cut off or damaged.
func unexpected(err error) error {
	switch {
	case errors.Is(err, ErrTruncated) || errors.Is(err, ErrDamaged) || errors.Is(err, ErrFormat):
		return err
	case errors.Is(err, io.ErrUnexpectedEOF) || err == io.EOF:
		return fmt.Errorf("%w: the compressed data ends early; record or copy it again, or go on with what was read", ErrTruncated)
	case errors.Is(err, gzip.ErrChecksum) || errors.Is(err, gzip.ErrHeader) || isCorrupt(err):
		return damaged("%v", err)
	}
	return err
}

// counted adds up what was read of the file.
type counted struct {
	io.Reader
	n *atomic.Int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	return n, err
}

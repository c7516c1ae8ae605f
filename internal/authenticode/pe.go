package authenticode

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// maxImage bounds the files that are read, in bytes. WinDivert64.sys has 94,144.
const maxImage = 64 << 20

// ErrFormat: the file is no PE image, or its headers contradict each other.
var ErrFormat = errors.New("not a well-formed PE image")

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrFormat}, args...)...)
}

// Where fields lie, from the signature "PE\0\0" (PE format, sections "COFF File Header" and "Optional Header").
const (
	peSections    = 4 + 2
	peOptSize     = 4 + 16
	peOpt         = 24
	optAlignment  = peOpt + 32
	optHeaders    = peOpt + 60 // SizeOfHeaders
	optChecksum   = peOpt + 64
	optDirs32     = peOpt + 92 // NumberOfRvaAndSizes; 16 further on in PE32+
	dirSize       = 8
	dirSecurity   = 4 // the certificate table
	sectionHeader = 40
	maxSections   = 96 // as Windows' loader has it
)

// span is a part of the file: from start until before end.
type span struct{ start, end int }

// section is where a section's bytes lie in the file.
type section struct{ offset, size int }

// image is a PE file whose header fields were checked against its length.
type image struct {
	data      []byte
	checksum  span // the field CheckSum: in no digest, since signing changes it
	directory span // the certificate table's directory entry: in no digest
	table     span // the certificate table, at the end of the file; empty: unsigned
	headers   int  // bytes that all headers take
	page      int  // SectionAlignment: bytes of a page
	sections  []section
}

// readImage checks what the digests rely on. It keeps data.
func readImage(data []byte) (*image, error) {
	if len(data) > maxImage {
		return nil, malformed("%d bytes, more than %d are not read", len(data), maxImage)
	}
	if len(data) < 0x40 || data[0] != 'M' || data[1] != 'Z' {
		return nil, malformed("it does not start with MZ")
	}
	le := binary.LittleEndian
	pe := int(le.Uint32(data[0x3c:]))
	if pe > len(data)-optDirs32-4 || string(data[pe:pe+4]) != "PE\x00\x00" {
		return nil, malformed("no PE header at %d of %d bytes", pe, len(data))
	}
	h := data[pe:]
	opt := int(le.Uint16(h[peOptSize:]))
	dirs := optDirs32
	switch magic := le.Uint16(h[peOpt:]); magic {
	case 0x10b:
	case 0x20b:
		dirs += 16
	default:
		return nil, malformed("optional header of kind %#x, want 0x10b or 0x20b", magic)
	}
	security := dirs + 4 + dirSecurity*dirSize
	if opt < security+dirSize-peOpt || peOpt+opt > len(h) {
		return nil, malformed("an optional header of %d bytes has no room for a certificate table", opt)
	}
	if n := le.Uint32(h[dirs:]); n <= dirSecurity {
		return nil, malformed("%d data directories, the certificate table is the fifth", n)
	}
	im := &image{
		data: data, checksum: span{pe + optChecksum, pe + optChecksum + 4}, directory: span{pe + security, pe + security + dirSize},
		headers: clampInt(le.Uint32(h[optHeaders:])), page: clampInt(le.Uint32(h[optAlignment:])),
	}
	if im.headers < im.directory.end || im.headers > len(data) {
		return nil, malformed("headers of %d bytes in a file of %d", im.headers, len(data))
	}
	if err := im.readSections(h[peOpt+opt:], int(le.Uint16(h[peSections:]))); err != nil {
		return nil, err
	}
	return im, im.readTable(clampInt(le.Uint32(h[security:])), clampInt(le.Uint32(h[security+4:])))
}

func (im *image) readSections(b []byte, n int) error {
	if n > maxSections || n*sectionHeader > len(b) {
		return malformed("%d sections have no room", n)
	}
	for i := range n {
		h := b[i*sectionHeader:]
		s := section{clampInt(binary.LittleEndian.Uint32(h[20:])), clampInt(binary.LittleEndian.Uint32(h[16:]))}
		if s.size == 0 {
			continue
		}
		if s.offset > len(im.data)-s.size {
			return malformed("section %d: %d bytes at %d of a file of %d", i, s.size, s.offset, len(im.data))
		}
		im.sections = append(im.sections, s)
	}
	return nil
}

// readTable wants the certificate table to end the file: bytes behind it would be in nobody's digest.
func (im *image) readTable(offset, size int) error {
	switch {
	case offset == 0 && size == 0:
		im.table = span{len(im.data), len(im.data)}
		return nil
	case offset < im.headers || size < 8 || offset > len(im.data)-size:
		return malformed("a certificate table of %d bytes at %d of a file of %d; is the file cut off?", size, offset, len(im.data))
	case offset+size != len(im.data):
		return malformed("%d bytes behind the certificate table, which no signature covers", len(im.data)-offset-size)
	}
	for i, s := range im.sections {
		if s.offset+s.size > offset {
			return malformed("section %d lies in the certificate table", i)
		}
	}
	im.table = span{offset, offset + size}
	return nil
}

// certificates are the PKCS #7 signatures of the table.
func (im *image) certificates() (found [][]byte, err error) {
	b := im.data[im.table.start:im.table.end]
	for len(b) > 0 {
		if len(b) < 8 {
			return nil, malformed("the certificate table's last entry is cut off")
		}
		n := clampInt(binary.LittleEndian.Uint32(b))
		revision, kind := binary.LittleEndian.Uint16(b[4:]), binary.LittleEndian.Uint16(b[6:])
		if n < 8 || n > len(b) {
			return nil, malformed("a certificate table entry of %d bytes, where %d are left", n, len(b))
		}
		if revision != 0x200 || kind != 2 { // WIN_CERT_REVISION_2_0, WIN_CERT_TYPE_PKCS_SIGNED_DATA
			return nil, malformed("a certificate table entry of revision %#x and type %d, want 0x200 and 2", revision, kind)
		}
		if found = append(found, b[8:n]); len(found) > maxSignatures {
			return nil, malformed("more than %d signatures", maxSignatures)
		}
		b = b[min((n+7)&^7, len(b)):]
	}
	return found, nil
}

// clampInt keeps the field positive where int has 32 bits; no file that is read is so long.
func clampInt(v uint32) int { return int(min(v, math.MaxInt32)) }

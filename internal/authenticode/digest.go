package authenticode

import (
	"bytes"
	"crypto"
	_ "crypto/sha256" // the digests that signatures may name
	_ "crypto/sha512"
	"encoding/binary"
	"hash"
)

// digest is the Authenticode digest of the image: of all bytes but the checksum, the certificate table's directory entry, and the
// table. A file that was never signed counts as padded to 8 bytes, as signing pads it.
func (im *image) digest(f crypto.Hash) []byte {
	h := f.New()
	im.without(h, im.table.start)
	if im.table.start == im.table.end {
		h.Write(make([]byte, -len(im.data)&7))
	}
	return h.Sum(nil)
}

// without writes the file until end, and leaves out the two fields.
func (im *image) without(h hash.Hash, end int) {
	h.Write(im.data[:im.checksum.start])
	h.Write(im.data[im.checksum.end:im.directory.start])
	h.Write(im.data[im.directory.end:end])
}

// pageHashes is the list that a signature with page hashes carries: for the headers, each page of each section, and the end, an
// offset in the file (4 bytes, little-endian) and the digest of the page, filled up with zeros.
func (im *image) pageHashes(f crypto.Hash) ([]byte, error) {
	if im.page < 512 || im.page > 1<<16 || im.headers > im.page {
		return nil, malformed("pages of %d bytes and headers of %d cannot have page hashes", im.page, im.headers)
	}
	var list bytes.Buffer
	add := func(offset int, sum []byte) {
		_ = binary.Write(&list, binary.LittleEndian, uint32(offset)) // a buffer takes everything
		list.Write(sum)
	}
	zeros := make([]byte, im.page)
	h := f.New()
	im.without(h, im.headers)
	h.Write(zeros[im.headers:])
	add(0, h.Sum(nil))
	end := 0
	for _, s := range im.sections {
		for at := 0; at < s.size; at += im.page {
			n := min(im.page, s.size-at)
			h.Reset()
			h.Write(im.data[s.offset+at : s.offset+at+n])
			h.Write(zeros[n:])
			add(s.offset+at, h.Sum(nil))
		}
		end = s.offset + s.size
		if list.Len() > maxImage { // sections that lie over each other, for as often as they are named
			return nil, malformed("its sections have more pages than a file of this length can")
		}
	}
	add(end, make([]byte, f.Size()))
	return list.Bytes(), nil
}

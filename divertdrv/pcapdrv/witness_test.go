package pcapdrv_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

// The outside witness: gopacket reads the file and finds the first IP packet of each frame. It shares no code with the reader
// for pcapng and none with decap.

type witnessed struct {
	nanos int64
	frame []byte
	link  uint16
	iface int
	ip    []byte // nil: gopacket finds none
}

type packetReader interface {
	ReadPacketData() ([]byte, gopacket.CaptureInfo, error)
}

// witness reads a file up to its end or to where gopacket gives up, which it tells.
func witness(t *testing.T, path string) (all []witnessed, err error) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.HasPrefix(raw, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		if raw, err = io.ReadAll(z); err != nil {
			t.Fatal(err)
		}
	}
	var r packetReader
	var link uint16
	pcapng := bytes.HasPrefix(raw, []byte("\n\r\r\n"))
	if pcapng {
		r, err = pcapgo.NewNgReader(bytes.NewReader(raw), pcapgo.NgReaderOptions{WantMixedLinkType: true})
	} else {
		r, err = pcapgo.NewReader(bytes.NewReader(raw))
		link = binary.LittleEndian.Uint16(raw[20:]) // gopacket keeps 8 bits of it; all such files here are little-endian
	}
	if err != nil {
		return nil, err
	}
	for {
		data, info, err := r.ReadPacketData()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		if pcapng {
			link = uint16(info.AncillaryData[0].(layers.LinkType))
		}
		all = append(all, witnessed{info.Timestamp.UnixNano(), data, link, info.InterfaceIndex, firstIP(link, data)})
	}
}

// firstIP decodes a frame with gopacket's layers.
func firstIP(link uint16, frame []byte) []byte {
	decoder := gopacket.Decoder(layers.LinkType(link & 0xff))
	switch {
	case link == 276 && len(frame) > 20: // gopacket v1.1.19 does not know Linux cooked version 2
		decoder, frame = layers.EthernetType(binary.BigEndian.Uint16(frame)), frame[20:]
	case link == 113 && len(frame) > 16 && binary.BigEndian.Uint16(frame[4:]) > 8: // nor an address longer than its field
		decoder, frame = layers.EthernetType(binary.BigEndian.Uint16(frame[14:])), frame[16:]
	case link == 101:
		decoder = layers.LayerTypeIPv4
		if len(frame) > 0 && frame[0]>>4 == 6 {
			decoder = layers.LayerTypeIPv6
		}
	}
	packet := gopacket.NewPacket(frame, decoder, gopacket.NoCopy)
	for _, l := range packet.Layers() {
		if l.LayerType() == layers.LayerTypeIPv4 || l.LayerType() == layers.LayerTypeIPv6 {
			return append(bytes.Clone(l.LayerContents()), l.LayerPayload()...)
		}
	}
	return nil
}

// base is a path's last element without its dots, for the name of a file.
func base(path string) string { return strings.NewReplacer("/", "_", ".", "_").Replace(path) }

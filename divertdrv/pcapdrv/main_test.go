package pcapdrv_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/weirnet/weir/divertdrv/pcapdrv"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// order writes numbers both ways; binary.LittleEndian and binary.BigEndian are two.
type order interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

var orders = map[string]order{"little": binary.LittleEndian, "big": binary.BigEndian}

// rec is one record of a file that a test writes by hand.
type rec struct {
	sec, frac uint32
	data      []byte
	wire      int // 0: len(data)
}

func (r rec) wireLen() uint32 { return uint32(max(r.wire, len(r.data))) }

const (
	microMagic = 0xa1b2c3d4
	nanoMagic  = 0xa1b23c4d
)

// pcapBytes writes a pcap file without any library.
func pcapBytes(o order, magic uint32, link uint32, recs ...rec) []byte {
	b := o.AppendUint32(nil, magic)
	b = o.AppendUint16(b, 2)
	b = o.AppendUint16(b, 4)
	b = append(b, make([]byte, 8)...)
	b = o.AppendUint32(b, 65535)
	b = o.AppendUint32(b, link)
	for _, r := range recs {
		b = o.AppendUint32(b, r.sec)
		b = o.AppendUint32(b, r.frac)
		b = o.AppendUint32(b, uint32(len(r.data)))
		b = o.AppendUint32(b, r.wireLen())
		b = append(b, r.data...)
	}
	return b
}

// ng writes pcapng blocks without any library.
type ng struct {
	order
	b []byte
}

func (n *ng) block(typ uint32, body []byte) *ng {
	body = append(body, make([]byte, -len(body)&3)...)
	n.b = n.AppendUint32(n.b, typ)
	n.b = n.AppendUint32(n.b, uint32(len(body)+12))
	n.b = append(n.b, body...)
	n.b = n.AppendUint32(n.b, uint32(len(body)+12))
	return n
}

func (n *ng) section(minor uint16, opts ...[]byte) *ng {
	b := n.AppendUint32(nil, 0x1a2b3c4d)
	b = n.AppendUint16(b, 1)
	b = n.AppendUint16(b, minor)
	b = append(b, bytes.Repeat([]byte{0xff}, 8)...)
	return n.block(0x0a0d0d0a, append(b, bytes.Join(opts, nil)...))
}

func (n *ng) iface(link uint16, snap uint32, opts ...[]byte) *ng {
	b := n.AppendUint16(nil, link)
	b = n.AppendUint16(b, 0)
	b = n.AppendUint32(b, snap)
	return n.block(1, append(b, bytes.Join(opts, nil)...))
}

// opt encodes an option and its padding.
func (n *ng) opt(code uint16, value []byte) []byte {
	b := n.AppendUint16(nil, code)
	b = n.AppendUint16(b, uint16(len(value)))
	b = append(b, value...)
	return append(b, make([]byte, -len(value)&3)...)
}

func (n *ng) enhanced(iface uint32, ticks uint64, r rec, opts ...[]byte) *ng {
	return n.packet(6, n.AppendUint32(nil, iface), ticks, r, opts...)
}

func (n *ng) obsolete(iface uint16, ticks uint64, r rec, opts ...[]byte) *ng {
	return n.packet(2, n.AppendUint16(n.AppendUint16(nil, iface), 7), ticks, r, opts...)
}

func (n *ng) packet(typ uint32, b []byte, ticks uint64, r rec, opts ...[]byte) *ng {
	b = n.AppendUint32(b, uint32(ticks>>32))
	b = n.AppendUint32(b, uint32(ticks))
	b = n.AppendUint32(b, uint32(len(r.data)))
	b = n.AppendUint32(b, r.wireLen())
	b = append(b, r.data...)
	b = append(b, make([]byte, -len(r.data)&3)...)
	return n.block(typ, append(b, bytes.Join(opts, nil)...))
}

func (n *ng) simple(r rec) *ng {
	return n.block(3, append(n.AppendUint32(nil, r.wireLen()), r.data...))
}

func zip(b []byte) []byte {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, _ = w.Write(b)
	_ = w.Close()
	return z.Bytes()
}

// readAll reads every frame; err is what ended it, nil for the end of the file.
func readAll(b []byte) (frames []pcapdrv.Frame, err error) {
	r, err := pcapdrv.NewReader(bytes.NewReader(b), "test.pcap")
	if err != nil {
		return nil, err
	}
	for {
		var f pcapdrv.Frame
		if err := r.Next(&f); err != nil {
			if err == io.EOF {
				err = nil
			}
			return frames, err
		}
		f.Data = bytes.Clone(f.Data)
		frames = append(frames, f)
	}
}

// skip skips a test for a reason, but on a build machine, where everything must be there, it fails.
func skip(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// ipv4 is a whole IPv4 packet with a right header checksum.
func ipv4(src, dst [4]byte, proto byte, payload []byte) []byte {
	b := make([]byte, 20, 20+len(payload))
	b[0], b[8], b[9] = 0x45, 64, proto
	binary.BigEndian.PutUint16(b[2:], uint16(20+len(payload)))
	copy(b[12:], src[:])
	copy(b[16:], dst[:])
	binary.BigEndian.PutUint16(b[10:], ^sum16(0, b))
	return append(b, payload...)
}

func ipv6(src, dst [16]byte, next byte, payload []byte) []byte {
	b := make([]byte, 40, 40+len(payload))
	b[0], b[6], b[7] = 0x60, next, 64
	binary.BigEndian.PutUint16(b[4:], uint16(len(payload)))
	copy(b[8:], src[:])
	copy(b[24:], dst[:])
	return append(b, payload...)
}

// sum16 is the Internet checksum the slow way, not inverted.
func sum16(s uint64, b []byte) uint16 {
	for i, c := range b {
		s += uint64(c) << (8 * (1 - i%2))
	}
	for s > 0xffff {
		s = s>>16 + s&0xffff
	}
	return uint16(s)
}

func udp(payload string) []byte {
	b := []byte{0x30, 0x39, 0, 53, 0, byte(8 + len(payload)), 0, 0}
	return append(b, payload...)
}

// ether puts an Ethernet header before a packet.
func ether(typ uint16, ip []byte) []byte {
	b := append([]byte("\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02"), byte(typ>>8), byte(typ))
	return append(b, ip...)
}

var (
	hostA, hostB = [4]byte{192, 0, 2, 1}, [4]byte{198, 51, 100, 2}
	packetAB     = ipv4(hostA, hostB, 17, udp("there"))
	packetBA     = ipv4(hostB, hostA, 17, udp("and back"))
)

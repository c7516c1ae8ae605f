package workload

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/weirnet/weir/bench"
	"github.com/weirnet/weir/divertdrv/simdrv"
)

// CapturePackets is the value of parameter packets in scenario capture; they have 640 bytes on average.
const CapturePackets = 20_000

// Capture is a file of mixed packets in a folder of its own, as Ethernet frames.
type Capture struct {
	Path    string
	Packets int
	Bytes   uint64 // of packets
	dir     string
}

// NewCapture writes the one of a case; Close removes it.
func NewCapture(packets string, seed uint64) (*Capture, error) {
	n, err := strconv.Atoi(packets)
	if err != nil || n < 1 || n > 10_000_000 {
		return nil, fmt.Errorf("packets %q: want a number from 1 to 10000000", packets)
	}
	return NewCaptureOf(n, seed)
}

// NewCaptureOf writes so many packets, which may be none.
func NewCaptureOf(packets int, seed uint64) (c *Capture, err error) {
	dir, err := os.MkdirTemp("", "weir-bench-")
	if err != nil {
		return nil, err
	}
	c = &Capture{Path: dir + "/packets.pcap", dir: dir}
	if err := c.write(packets, seed); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Fields of a pcap file, little endian: see the Internet-Draft draft-ietf-opsawg-pcap.
const (
	pcapMagicNanos = 0xa1b23c4d
	pcapVersion    = 4<<16 | 2
	pcapSnapLen    = 1 << 18
	linkEthernet   = 1
)

func (c *Capture) write(packets int, seed uint64) (err error) {
	f, err := os.Create(c.Path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriterSize(f, 1<<20)
	le := binary.LittleEndian
	var head []byte
	for _, v := range []uint32{pcapMagicNanos, pcapVersion, 0, 0, pcapSnapLen, linkEthernet} {
		head = le.AppendUint32(head, v)
	}
	_, _ = w.Write(head) // Flush tells
	for src := simdrv.NewTraffic(seed, packets); c.Packets < packets; c.Packets++ {
		a, data, err := src.Next()
		if err != nil {
			return err
		}
		c.Bytes += uint64(len(data))
		rec := le.AppendUint32(nil, uint32(a.Timestamp/int64(time.Second)))
		rec = le.AppendUint32(rec, uint32(a.Timestamp%int64(time.Second)))
		frame := append(ethernet(data), data...)
		rec = le.AppendUint32(rec, uint32(len(frame)))
		_, _ = w.Write(le.AppendUint32(rec, uint32(len(frame))))
		_, _ = w.Write(frame)
	}
	return w.Flush()
}

// ethernet is the header of a frame between two hosts that makes the packet's version known.
func ethernet(packet []byte) []byte {
	b := []byte{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x08, 0x00}
	if packet[0]>>4 == 6 {
		b[12], b[13] = 0x86, 0xdd
	}
	return b
}

// Run makes the Run of a Trial that reads the file again and again; read returns how many packets it found.
func (c *Capture) Run(read func() (uint64, error)) func(context.Context, time.Duration) (bench.Sample, error) {
	mean := float64(c.Bytes) / float64(c.Packets)
	return bench.Loop(bench.Work{Each: c.Packets, Packets: 1, Bytes: mean, Do: func(n int) error {
		for range n / c.Packets {
			got, err := read()
			if err == nil && got != uint64(c.Packets) {
				err = fmt.Errorf("%d packets of the capture were read, want %d", got, c.Packets)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}})
}

// Close removes the file.
func (c *Capture) Close() error { return os.RemoveAll(c.dir) }

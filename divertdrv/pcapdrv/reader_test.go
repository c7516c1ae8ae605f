package pcapdrv_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/weirnet/weir/divertdrv/pcapdrv"
)

// formats yields the same three frames in every format that is read.
func formats() iter.Seq2[string, []byte] {
	recs := []rec{{1700000000, 999_999, packetAB, 0}, {1700000001, 0, packetBA[:24], len(packetBA)}, {1700000002, 5, nil, 0}}
	return func(yield func(string, []byte) bool) {
		for name, o := range orders {
			micro := pcapBytes(o, microMagic, 101, recs...)
			var nanos []rec
			block := (&ng{order: o}).section(0).iface(101, 0)
			for _, r := range recs {
				nanos = append(nanos, rec{r.sec, r.frac * 1000, r.data, r.wire})
				block.enhanced(0, uint64(r.sec)*1e6+uint64(r.frac), r)
			}
			for format, file := range map[string][]byte{
				"pcap micro": micro, "pcap nano": pcapBytes(o, nanoMagic, 101, nanos...), "pcapng": block.b,
			} {
				if !yield(format+" "+name, file) || !yield(format+" "+name+" gzip", zip(file)) {
					return
				}
			}
		}
	}
}

func TestReaderFormats(t *testing.T) {
	want := []pcapdrv.Frame{
		{Time: 1700000000_999999000, Data: packetAB, WireLen: len(packetAB), Link: pcapdrv.LinkRaw},
		{Time: 1700000001_000000000, Data: packetBA[:24], WireLen: len(packetBA), Link: pcapdrv.LinkRaw},
		{Time: 1700000002_000005000, Data: []byte{}, Link: pcapdrv.LinkRaw},
	}
	for name, file := range formats() {
		t.Run(name, func(t *testing.T) {
			got, err := readAll(file)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.EqualFunc(got, want, sameFrame) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	}
}

func sameFrame(a, b pcapdrv.Frame) bool {
	return a.Time == b.Time && bytes.Equal(a.Data, b.Data) && a.WireLen == b.WireLen && a.Link == b.Link && a.Direction == b.Direction
}

// A file that is cut anywhere gives the frames that are whole, then an error that says so; cut between two records nothing is
// missed that a reader could know of.
func TestReaderTruncatedAnywhere(t *testing.T) {
	for name, file := range formats() {
		t.Run(name, func(t *testing.T) {
			all, _ := readAll(file)
			for n := range file {
				got, err := readAll(file[:n])
				if len(got) > len(all) || !slices.EqualFunc(got, all[:len(got)], sameFrame) {
					t.Fatalf("cut at %d: frames %+v", n, got)
				}
				switch {
				case err == nil && len(got) == len(all):
					t.Fatalf("cut at %d of %d: every frame and no error", n, len(file))
				case err != nil && !errors.Is(err, pcapdrv.ErrTruncated) && n > 0:
					t.Fatalf("cut at %d: %v", n, err)
				case err == nil && strings.Contains(name, "gzip"):
					t.Fatalf("cut at %d of %d: no error", n, len(file))
				}
			}
		})
	}
}

func TestReaderReadsSlowly(t *testing.T) {
	for name, file := range formats() {
		r, err := pcapdrv.NewReader(iotest.OneByteReader(iotest.DataErrReader(bytes.NewReader(file))), "slow")
		if err != nil {
			t.Fatal(err)
		}
		var f pcapdrv.Frame
		for range 3 {
			if err := r.Next(&f); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		if err := r.Next(&f); err != io.EOF {
			t.Errorf("%s: %v, want EOF", name, err)
		}
		if got := r.BytesRead(); got != int64(len(file)) {
			t.Errorf("%s: read %d of %d bytes", name, got, len(file))
		}
	}
}

// What is no capture is refused with its name, the reason and a remedy.
func TestReaderRefuses(t *testing.T) {
	good := pcapBytes(orders["little"], microMagic, 1)
	oldVersion := bytes.Clone(good)
	oldVersion[6] = 3
	for _, c := range []struct {
		name, file string
		is         error
		says       string
	}{
		{"empty", "", pcapdrv.ErrFormat, "it is empty"},
		{"short", "\xd4\xc3", pcapdrv.ErrTruncated, "2 of 24 bytes"},
		{"text", "hello, world", pcapdrv.ErrFormat, "68 65 6c 6c"},
		{"zeros", strings.Repeat("\x00", 100), pcapdrv.ErrFormat, "00 00 00 00"},
		{"zstd", "\x28\xb5\x2f\xfd....", pcapdrv.ErrFormat, "zstd -d"},
		{"zip", "PK\x03\x04....", pcapdrv.ErrFormat, "unpack"},
		{"modified pcap", "\x34\xcd\xb2\xa1....", pcapdrv.ErrFormat, "editcap"},
		{"old version", string(oldVersion), pcapdrv.ErrFormat, "version 2.3"},
		{"gzip of text", string(zip([]byte("hello"))), pcapdrv.ErrFormat, "decompressed"},
		{"gzip of nothing", string(zip(nil)), pcapdrv.ErrFormat, "it is empty"},
		{"gzip of gzip", string(zip(zip(good))), pcapdrv.ErrFormat, "1f 8b"},
		{"gzip header cut", "\x1f\x8b\x08", pcapdrv.ErrTruncated, "ends early"},
		{"gzip header bad", "\x1f\x8b\x09........", pcapdrv.ErrDamaged, "gzip"},
		{"byte order mark", "\x0a\x0d\x0d\x0a\x1c\x00\x00\x00abcd", pcapdrv.ErrDamaged, "byte order mark"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := pcapdrv.NewReader(strings.NewReader(c.file), "evil.pcap")
			var where *pcapdrv.ReadError
			if !errors.As(err, &where) || !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) ||
				!strings.Contains(err.Error(), "evil.pcap") {
				t.Errorf("%v\nwant a ReadError of %v that says %q", err, c.is, c.says)
			}
		})
	}
}

// Damage behind good frames is an error with its place, and the frames before it stand.
func TestReaderDamage(t *testing.T) {
	o := orders["little"]
	good := rec{1, 2, packetAB, 0}
	huge := pcapBytes(o, microMagic, 101, good, good)
	o.PutUint32(huge[len(huge)-len(packetAB)-8:], 0xfffffff0)
	corrupt := zip(pcapBytes(o, microMagic, 101, slices.Repeat([]rec{good}, 5000)...))
	copy(corrupt[len(corrupt)/2:], "XXXXXXXXXXXXXXXX")
	for name, file := range map[string][]byte{"huge length": huge, "corrupt gzip": corrupt} {
		frames, err := readAll(file)
		var where *pcapdrv.ReadError
		if len(frames) == 0 || !errors.As(err, &where) || !errors.Is(err, pcapdrv.ErrDamaged) {
			t.Fatalf("%s: %d frames, %v", name, len(frames), err)
		}
		if where.Frames != uint64(len(frames)) || where.Offset != int64(24+len(frames)*(16+len(packetAB))) {
			t.Errorf("%s: %+v behind %d frames", name, where, len(frames))
		}
		if says := fmt.Sprintf("after frame %d", len(frames)); !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, want it to say %q", name, err, says)
		}
	}
}

// What gopacket would refuse and others read: a frame longer than the snap length, or than it was on the wire.
func TestReaderLenient(t *testing.T) {
	o := orders["big"]
	file := pcapBytes(o, microMagic, 101, rec{1, 2, packetAB, 0})
	o.PutUint32(file[16:], 10)
	o.PutUint32(file[24+12:], 3)
	frames, err := readAll(file)
	if err != nil || len(frames) != 1 || !bytes.Equal(frames[0].Data, packetAB) || frames[0].WireLen != len(packetAB) {
		t.Errorf("%+v, %v", frames, err)
	}
}

func TestReaderErrorIsSticky(t *testing.T) {
	want := errors.New("cable pulled")
	file := pcapBytes(orders["little"], microMagic, 101, rec{1, 2, packetAB, 0})
	r, err := pcapdrv.NewReader(io.MultiReader(bytes.NewReader(file), iotest.ErrReader(want)), "nfs.pcap")
	if err != nil {
		t.Fatal(err)
	}
	var f pcapdrv.Frame
	if err := r.Next(&f); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := r.Next(&f); !errors.Is(err, want) || !strings.Contains(err.Error(), "nfs.pcap: after frame 1, at byte") {
			t.Errorf("got %v", err)
		}
	}
}

// The upper half of pcap's link type field is not the link type.
func TestReaderLinkTypeWithFCS(t *testing.T) {
	for _, link := range []uint32{1, 276, 1 | 0x2400_0000, 276 | 0x2400_0000} {
		frames, err := readAll(pcapBytes(orders["little"], microMagic, link, rec{1, 2, []byte("x"), 0}))
		if err != nil || uint32(frames[0].Link) != link&0xffff {
			t.Errorf("%#x: %+v, %v", link, frames, err)
		}
	}
}

// A panic of the capture library is an error of ours, with its place, and final.
func TestReaderContainsPanics(t *testing.T) {
	r := pcapdrv.NewPanicking()
	var f pcapdrv.Frame
	if err := r.Next(&f); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		err := r.Next(&f)
		if !errors.Is(err, pcapdrv.ErrDamaged) || !strings.Contains(err.Error(), "hostile.pcap: after frame 1, at byte 40") {
			t.Errorf("got %v", err)
		}
	}
}

package pcapdrv_test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/google/gopacket/pcapgo"
	"pgregory.net/rapid"

	"github.com/weirnet/weir/divertdrv/pcapdrv"
)

func writer(t interface{ Fatal(...any) }, w io.Writer) *pcapdrv.Writer {
	wr, err := pcapdrv.NewWriter(w)
	if err != nil {
		t.Fatal(err)
	}
	return wr
}

// What is written is read back the same: by our reader all of it, by gopacket's all that it can tell.
func TestWriterRoundTrip(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		var file bytes.Buffer
		w := writer(r, &file)
		var want []pcapdrv.Frame
		for range rapid.IntRange(0, 20).Draw(r, "records") {
			data := rapid.SliceOfN(rapid.Byte(), 0, 9000).Draw(r, "data")
			rec := pcapdrv.Record{
				Time: rapid.Int64Min(0).Draw(r, "time"), Data: data,
				WireLen:   rapid.IntRange(0, 20000).Draw(r, "wire length"),
				Link:      rapid.SampledFrom([]pcapdrv.LinkType{101, 1, 276, 65535}).Draw(r, "link"),
				Direction: pcapdrv.Direction(rapid.IntRange(0, 2).Draw(r, "direction")),
			}
			if err := w.Write(rec); err != nil {
				r.Fatal(err)
			}
			want = append(want, pcapdrv.Frame{
				Time: rec.Time, Data: data, WireLen: max(rec.WireLen, len(data)), Link: rec.Link, Direction: rec.Direction,
			})
		}
		if err := w.Flush(); err != nil {
			r.Fatal(err)
		}
		got, err := readAll(file.Bytes())
		if err != nil || !slices.EqualFunc(got, want, sameFrame) {
			r.Fatalf("%v\ngot  %+v\nwant %+v", err, got, want)
		}
		checkByGopacket(r, file.Bytes(), want)
	})
}

func checkByGopacket(t *rapid.T, file []byte, want []pcapdrv.Frame) {
	g, err := pcapgo.NewNgReader(bytes.NewReader(file), pcapgo.NgReaderOptions{WantMixedLinkType: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range want {
		data, info, err := g.ReadPacketData()
		if err != nil || !bytes.Equal(data, f.Data) || info.Timestamp.UnixNano() != f.Time || info.Length != f.WireLen {
			t.Fatalf("gopacket: %+v, %v; want %+v", info, err, f)
		}
		if name := mustInterface(t, g, info.InterfaceIndex).Name; (name == "weir") != (f.Link == pcapdrv.LinkRaw) {
			t.Fatalf("link %v on the interface %q", f.Link, name)
		}
	}
	if _, _, err := g.ReadPacketData(); err != io.EOF {
		t.Fatalf("gopacket: %v, want EOF", err)
	}
}

func mustInterface(t *rapid.T, g *pcapgo.NgReader, i int) pcapgo.NgInterface {
	iface, err := g.Interface(i)
	if err != nil {
		t.Fatal(err)
	}
	return iface
}

// full is a disk with room for so many bytes.
type full struct{ room int }

var errFull = errors.New("no space left on device")

func (f *full) Write(p []byte) (int, error) {
	n := min(f.room, len(p))
	f.room -= n
	if n < len(p) {
		return n, errFull
	}
	return n, nil
}

func TestWriterErrorIsSticky(t *testing.T) {
	w := writer(t, &full{room: 100_000})
	r := pcapdrv.Record{Data: make([]byte, 1000), Link: pcapdrv.LinkRaw}
	var err error
	for range 200 {
		err = errors.Join(err, w.Write(r))
	}
	if !errors.Is(err, errFull) || !errors.Is(w.Write(r), errFull) || !errors.Is(w.Flush(), errFull) {
		t.Errorf("write %v, %v, flush %v", err, w.Write(r), w.Flush())
	}
}

func TestWriterDoesNotAllocate(t *testing.T) {
	w := writer(t, io.Discard)
	packet := pcapdrv.Record{Data: make([]byte, 1400), Link: pcapdrv.LinkRaw, Direction: pcapdrv.Outbound}
	frame := pcapdrv.Record{Data: make([]byte, 60), Link: pcapdrv.LinkSLL2}
	if n := testing.AllocsPerRun(1000, func() {
		if w.Write(packet) != nil || w.Write(frame) != nil {
			t.Fatal("write failed")
		}
	}); n != 0 {
		t.Errorf("%v allocations for two records, want none", n)
	}
}

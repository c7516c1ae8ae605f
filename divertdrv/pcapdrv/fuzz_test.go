package pcapdrv_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"runtime/metrics"
	"testing"

	"github.com/weirnet/weir/divertdrv/pcapdrv"
)

// FuzzReader gives any bytes to the reader and what it reads to decap and the writer: no panic, no hang, no memory by the
// word of a header; and what was written is read back the same.
func FuzzReader(f *testing.F) {
	for _, file := range formats() {
		f.Add(file)
	}
	f.Add(mixed()[:2000])
	for _, path := range []string{"dns.pcap", "cooked.pcap", "nano.pcap", "http.pcap.gz", "tls.pcapng"} {
		if file, err := os.ReadFile("../../testdata/captures/" + path); err == nil {
			f.Add(file[:min(len(file), 4000)])
		}
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		const fixed, perFrame = 2 << 20, 4 << 10 // bytes; perFrame is for this test, which keeps them
		before := allocated()
		frames := readSome(t, file)
		if took := allocated() - before; took > fixed+uint64(len(frames))*perFrame+uint64(total(frames)) {
			t.Errorf("%d bytes allocated for %d bytes and %d frames", took, len(file), len(frames))
		}
		var out bytes.Buffer
		w := writer(t, &out)
		for _, frame := range frames {
			pcapdrv.Decap(frame)
			if err := w.Write(record(frame)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Flush(); err != nil {
			t.Fatal(err)
		}
		again, err := readAll(out.Bytes())
		if err != nil || len(again) != len(frames) {
			t.Fatalf("%d frames written, %d read: %v", len(frames), len(again), err)
		}
		for i, got := range again {
			if frames[i].Time = max(frames[i].Time, 0); got.Time < 0 || !sameFrame(got, frames[i]) {
				t.Fatalf("written %+v\nread    %+v", frames[i], got)
			}
		}
	})
}

// readSome reads up to 10,000 frames and checks what Next promises.
func readSome(t *testing.T, file []byte) (frames []pcapdrv.Frame) {
	r, err := pcapdrv.NewReader(bytes.NewReader(file), "fuzz")
	for err == nil && len(frames) < 10_000 {
		var f pcapdrv.Frame
		if err = r.Next(&f); err != nil {
			break
		}
		if len(f.Data) > pcapdrv.FrameMax || f.WireLen < len(f.Data) || f.Direction > pcapdrv.Outbound {
			t.Fatalf("%+v", f)
		}
		f.Data = bytes.Clone(f.Data)
		frames = append(frames, f)
	}
	var where *pcapdrv.ReadError
	if err != nil && err != io.EOF && !errors.As(err, &where) {
		t.Fatalf("%v is no ReadError", err)
	}
	return frames
}

func total(frames []pcapdrv.Frame) (n int) {
	for _, f := range frames {
		n += 2 * len(f.Data) // room that Clone rounds up to
	}
	return n
}

func allocated() uint64 {
	s := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64()
}

func record(f pcapdrv.Frame) pcapdrv.Record {
	return pcapdrv.Record{Time: f.Time, Data: f.Data, WireLen: f.WireLen, Link: f.Link, Direction: f.Direction}
}

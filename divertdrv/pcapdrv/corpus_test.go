package pcapdrv_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/pcapdrv"
)

// captures lists the files below dir that are named like captures.
func captures(t *testing.T, dir string) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		for _, ext := range []string{".pcap", ".pcapng", ".pcap.gz", ".pcapng.gz"} {
			if strings.HasSuffix(path, ext) {
				paths = append(paths, path)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// passAll runs a capture through a handle that passes everything, and returns what the driver counted and where it wrote to.
func passAll(t *testing.T, path string) (s pcapdrv.Stats, out string, end error) {
	t.Helper()
	out = filepath.Join(t.TempDir(), base(filepath.Base(path))+".out")
	d, err := pcapdrv.Open(pcapdrv.Options{In: path, Out: out})
	if err != nil {
		t.Fatal(err)
	}
	end = run(t, handle(t, d, "true", 0), func(p *divertdrv.Packet) { p.Set(divertdrv.Pass, 0) })
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	return d.Stats(), out, end
}

// checkPassAll compares what went in, by gopacket's account, with what came out, and adds that to outs.
func checkPassAll(t *testing.T, path string, outs *bytes.Buffer) pcapdrv.Stats {
	t.Helper()
	in, witnessErr := witness(t, path)
	s, out, end := passAll(t, path)
	if (witnessErr == nil) != errors.Is(end, divertdrv.ErrShutdown) {
		t.Errorf("ended by %v; gopacket: %v", end, witnessErr)
	}
	if s.Frames != uint64(len(in)) || s.Frames != s.Packets+s.Skipped() {
		t.Errorf("%+v, want %d frames", s, len(in))
	}
	if s.PacketsWritten != s.Packets || s.BytesWritten != s.Bytes || s.FramesWritten != s.Skipped() {
		t.Errorf("read is not written: %+v", s)
	}
	written, err := witness(t, out)
	if err != nil {
		t.Fatal(err)
	}
	var packets, bystanders []witnessed
	for _, w := range written {
		if w.iface == 0 {
			packets = append(packets, w)
		} else {
			bystanders = append(bystanders, w)
		}
	}
	raw, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	outs.Write(raw)
	for _, w := range in {
		next, want := &bystanders, w.frame
		if w.ip != nil {
			next, want = &packets, w.ip
		}
		if len(*next) == 0 {
			t.Fatalf("% x was not written", want)
		}
		got := (*next)[0]
		*next = (*next)[1:]
		if !bytes.Equal(got.frame, want) || got.nanos != max(w.nanos, 0) { // gopacket gives simple packets the year 1
			t.Errorf("at %d got  % x\nat %d want % x", got.nanos, got.frame, w.nanos, want)
		}
	}
	if n := len(packets) + len(bystanders); n != 0 {
		t.Errorf("%d more were written than read", n)
	}
	return s
}

// Every capture in testdata comes out as it went in.
func TestPassAll(t *testing.T) {
	paths := captures(t, "../../testdata/captures")
	if len(paths) == 0 {
		t.Fatal("no captures in testdata/captures")
	}
	var outs bytes.Buffer
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			s := checkPassAll(t, path, &outs)
			if info, err := os.Stat(path); err != nil || s.Read != info.Size() || s.Size != info.Size() {
				t.Errorf("read %d of %d bytes, want all of %v; %v", s.Read, s.Size, info.Size(), err)
			}
		})
	}
	t.Run("tshark", func(t *testing.T) { checkByTshark(t, outs.Bytes()) })
}

// gopacketDir finds the test captures of the maintained fork of gopacket. The module is downloaded and never imported.
func gopacketDir(t *testing.T) string {
	t.Helper()
	cmd := exec.Command("go", "mod", "download", "-json", "github.com/gopacket/gopacket@v1.7.7")
	cmd.Dir = t.TempDir() // not this module, whose go.mod must not name it
	text, err := cmd.Output()
	var module struct{ Dir, Error string }
	if jsonErr := json.Unmarshal(text, &module); err != nil || jsonErr != nil {
		skip(t, "go mod download github.com/gopacket/gopacket@v1.7.7: %v %s", err, module.Error)
	}
	return module.Dir
}

// The 63 captures that gopacket is tested with: every frame is accounted for, every IP packet comes out as it went in.
func TestPassAllOfGopacket(t *testing.T) {
	dir := gopacketDir(t)
	paths := captures(t, dir)
	if len(paths) != 63 {
		t.Errorf("%d captures, want 63", len(paths))
	}
	var outs bytes.Buffer
	for _, path := range paths {
		name, _ := filepath.Rel(dir, path)
		t.Run(name, func(t *testing.T) {
			s := checkPassAll(t, path, &outs)
			t.Logf("%d frames, %d packets, %d cut; %v", s.Frames, s.Packets, s.Truncated, s.Bystanders)
		})
	}
	t.Run("tshark", func(t *testing.T) { checkByTshark(t, outs.Bytes()) })
}

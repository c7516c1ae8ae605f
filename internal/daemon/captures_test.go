package daemon_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/weirnet/weir/divertdrv/pcapdrv"
	"github.com/weirnet/weir/internal/daemon"
)

// What is expected of a capture, whoever made it: nothing panics, permit-all puts out its IP packets byte for byte, and a policy
// decides as the naive reference does (reference_test.go).

// The module that has captures of many kinds. It is only downloaded; nothing of it is imported.
const (
	forkVersion  = "github.com/gopacket/gopacket@v1.7.7"
	forkCaptures = 63
)

// repository returns the captures of this project.
func repository(t *testing.T) []string {
	t.Helper()
	paths := capturesBelow(t, "../../testdata/captures")
	if len(paths) < 14 {
		t.Fatalf("%d captures", len(paths))
	}
	return paths
}

// fork returns the captures of the module.
func fork(t *testing.T) []string {
	t.Helper()
	cmd := exec.Command("go", "mod", "download", "-json", forkVersion)
	cmd.Dir = t.TempDir() // outside of the module, which does not need it
	out, err := cmd.Output()
	var module struct{ Dir, Error string }
	if jsonErr := json.Unmarshal(out, &module); err != nil || jsonErr != nil || module.Dir == "" {
		required(t, "%s cannot be had: %v: %s", forkVersion, errors.Join(err, jsonErr), module.Error)
	}
	paths := capturesBelow(t, module.Dir)
	if len(paths) != forkCaptures {
		t.Fatalf("%d captures in %s, want %d", len(paths), module.Dir, forkCaptures)
	}
	return paths
}

func capturesBelow(t *testing.T, dir string) (paths []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		for _, end := range []string{".pcap", ".pcapng", ".pcap.gz"} {
			if err == nil && !d.IsDir() && strings.HasSuffix(path, end) {
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

// eachCapture runs f on every capture as a subtest, and then has tshark open what all of them wrote: pcapng files can be joined.
func eachCapture(t *testing.T, paths []string, f func(t *testing.T, path, out string)) {
	t.Helper()
	dir := t.TempDir()
	var joined bytes.Buffer
	for i, path := range paths {
		t.Run(filepath.Base(filepath.Dir(path))+"-"+filepath.Base(path), func(t *testing.T) {
			out := filepath.Join(dir, "out.pcapng")
			f(t, path, out)
			written, err := os.ReadFile(out)
			if err != nil {
				t.Fatal(i, err)
			}
			joined.Write(written)
		})
	}
	t.Run("tshark", func(t *testing.T) { opens(t, joined.Bytes()) })
}

// opens has tshark read a pcapng file and compares the number of frames.
func opens(t *testing.T, file []byte) {
	t.Helper()
	if _, err := exec.LookPath("tshark"); err != nil {
		required(t, "tshark is needed to open what is written: %v; install Debian's package tshark", err)
	}
	path := filepath.Join(t.TempDir(), "joined.pcapng")
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("tshark", "-n", "-r", path, "-T", "fields", "-e", "frame.number")
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir()) // not the user's preferences
	seen, err := cmd.Output()
	if err != nil {
		t.Fatalf("tshark: %v", err)
	}
	if got, want := bytes.Count(seen, []byte("\n")), len(frames(t, path)); got != want {
		t.Errorf("tshark sees %d frames, want %d", got, want)
	}
}

// frames reads a capture up to its end or its damage.
func frames(t *testing.T, path string) (all []pcapdrv.Frame) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := pcapdrv.NewReader(f, path)
	if err != nil {
		t.Fatal(err)
	}
	for {
		var frame pcapdrv.Frame
		if err := r.Next(&frame); err != nil {
			var damage *pcapdrv.ReadError
			if !errors.Is(err, io.EOF) && !errors.As(err, &damage) {
				t.Fatal(err)
			}
			return all
		}
		frame.Data = slices.Clone(frame.Data)
		all = append(all, frame)
	}
}

// ipOf takes the link header off a frame, for the link types that the captures have; nil: no IP.
func ipOf(t *testing.T, f *pcapdrv.Frame) []byte {
	t.Helper()
	b, typ := f.Data, -1
	switch f.Link {
	case pcapdrv.LinkEthernet:
		typ, b = int(binary.BigEndian.Uint16(b[12:])), b[14:]
		for typ == 0x8100 {
			typ, b = int(binary.BigEndian.Uint16(b[2:])), b[4:]
		}
	case pcapdrv.LinkNull, pcapdrv.LinkLoop:
		b = b[4:]
	case pcapdrv.LinkSLL:
		typ, b = int(binary.BigEndian.Uint16(b[14:])), b[16:]
	case pcapdrv.LinkSLL2:
		typ, b = int(binary.BigEndian.Uint16(b)), b[20:]
	case pcapdrv.LinkRaw:
	default:
		t.Fatalf("the test knows no link type %v", f.Link)
	}
	switch {
	case len(b) >= 20 && b[0]>>4 == 4 && (typ < 0 || typ == 0x0800):
		return b[:min(len(b), int(binary.BigEndian.Uint16(b[2:])))]
	case len(b) >= 40 && b[0]>>4 == 6 && (typ < 0 || typ == 0x86dd):
		return b[:min(len(b), 40+int(binary.BigEndian.Uint16(b[4:])))]
	}
	return nil
}

// capturePlan reads path and writes out. Captures of this project name their local addresses.
func capturePlan(t *testing.T, path, out string) daemon.Plan {
	t.Helper()
	p := daemon.Plan{Driver: daemon.Driver{Backend: daemon.Pcap, In: path, Out: out}, Handles: everything(t)}
	if strings.Contains(path, "testdata/captures") {
		p.Driver.Local = []netip.Prefix{netip.MustParsePrefix("10.77.0.1/32"), netip.MustParsePrefix("fd77::1/128")}
	}
	return p
}

// damaged is the only fault that a capture may end with.
func damaged(err error) bool {
	var damage *pcapdrv.ReadError
	return err == nil || errors.As(err, &damage)
}

func testPermitAll(t *testing.T, paths []string) {
	t.Helper()
	eachCapture(t, paths, func(t *testing.T, path, out string) {
		r, err := run(t, capturePlan(t, path, out))
		if !damaged(err) {
			t.Fatal(err)
		}
		in := frames(t, path)
		var want, got [][]byte
		for i := range in {
			if ip := ipOf(t, &in[i]); ip != nil {
				want = append(want, ip)
			}
		}
		for _, f := range frames(t, out) {
			if f.Link == pcapdrv.LinkRaw {
				got = append(got, f.Data)
			}
		}
		if !slices.EqualFunc(got, want, bytes.Equal) {
			t.Errorf("%d packets written, want the same %d packets of the capture", len(got), len(want))
		}
		if n := uint64(len(want)); r.Received != n || r.Passed != n || r.Capture.Frames != uint64(len(in)) {
			t.Errorf("received %d, passed %d, frames %d; want %d, %d, %d", r.Received, r.Passed, r.Capture.Frames, n, n, len(in))
		}
	})
}

func TestPermitAllOfRepository(t *testing.T) { testPermitAll(t, repository(t)) }
func TestPermitAllOfFork(t *testing.T)       { testPermitAll(t, fork(t)) }

// A link type that is not decoded is named, and its frames pass as they are.
func TestUnsupportedLink(t *testing.T) {
	file := binary.LittleEndian.AppendUint32(nil, 0xa1b2c3d4)
	file = append(file, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 105, 0, 0, 0)
	file = append(file, 1, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 0xde, 0xad, 0xbe, 0xef)
	dir := t.TempDir()
	in, out := filepath.Join(dir, "wifi.pcap"), filepath.Join(dir, "out.pcapng")
	if err := os.WriteFile(in, file, 0o600); err != nil {
		t.Fatal(err)
	}
	r, err := run(t, capturePlan(t, in, out))
	if err != nil {
		t.Fatal(err)
	}
	const want = "frames of link type 105 (IEEE802_11), which is not supported"
	if n := r.Capture.NotIP; len(n) != 1 || n[0].What != want || n[0].Frames != 1 {
		t.Errorf("not IP: %+v", n)
	}
	if f := frames(t, out); len(f) != 1 || f[0].Link != 105 || !bytes.Equal(f[0].Data, file[40:]) {
		t.Errorf("written: %+v", f)
	}
}

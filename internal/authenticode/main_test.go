package authenticode

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"encoding/pem"
	"flag"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"go.uber.org/goleak"
)

var update = flag.Bool("update", false, "write testdata anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// year is a time in the middle of a year.
func year(y int) time.Time { return time.Date(y, 7, 1, 12, 0, 0, 0, time.UTC) }

// identity is a key and its certificate.
type identity struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// issue makes a certificate, valid between two years; by nil: a root.
func issue(t testing.TB, by *identity, name string, key crypto.Signer, from, to int, use ...x509.ExtKeyUsage) *identity {
	t.Helper()
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: year(from), NotAfter: year(to), ExtKeyUsage: use,
		BasicConstraintsValid: true, IsCA: by == nil, KeyUsage: x509.KeyUsageDigitalSignature,
	}
	if slices.Contains(use, x509.ExtKeyUsageTimeStamping) { // OpenSSL wants it critical (RFC 3161, 2.3)
		value, err := asn1.Marshal([]asn1.ObjectIdentifier{{1, 3, 6, 1, 5, 5, 7, 3, 8}})
		if err != nil {
			t.Fatal(err)
		}
		c.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Critical: true, Value: value}}
	}
	parent, signer := c, key
	if by != nil {
		parent, signer = by.cert, by.key
	} else {
		c.KeyUsage = x509.KeyUsageCertSign
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	return &identity{c, key}
}

func newRSA(t testing.TB) crypto.Signer {
	t.Helper()
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func newEC(t testing.TB) crypto.Signer {
	t.Helper()
	k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func (i *identity) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.cert.Raw})
}

func (i *identity) anchors(t testing.TB) *Anchors {
	t.Helper()
	a, err := ReadAnchors("test anchors", i.pem())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// authority is a root with a signer and a time stamper below it.
type authority struct{ root, signer, stamper *identity }

// The signer's certificate is valid from 2020 to 2022, the stamper's from 2020 to 2024, the root's until 2060.
func newAuthority(t testing.TB, key func(testing.TB) crypto.Signer) *authority {
	t.Helper()
	root := issue(t, nil, "test root", key(t), 2019, 2060)
	return &authority{
		root:    root,
		signer:  issue(t, root, "test signer", key(t), 2020, 2022, x509.ExtKeyUsageCodeSigning),
		stamper: issue(t, root, "test stamper", key(t), 2020, 2024, x509.ExtKeyUsageTimeStamping),
	}
}

// testImage is a small PE32+ image with two sections, as a driver has it: pages of 4096, bytes of the file aligned to 512.
func testImage() []byte {
	b := make([]byte, 0x400+0x1200+0x200)
	le := binary.LittleEndian
	copy(b, "MZ")
	le.PutUint32(b[0x3c:], 0x80)
	h := b[0x80:]
	copy(h, "PE\x00\x00")
	le.PutUint16(h[4:], 0x8664)
	le.PutUint16(h[peSections:], 2)
	le.PutUint16(h[peOptSize:], 240)
	le.PutUint16(h[22:], 0x22)
	le.PutUint16(h[peOpt:], 0x20b)
	le.PutUint32(h[optAlignment:], 4096)
	le.PutUint32(h[optAlignment+4:], 512)
	le.PutUint32(h[optAlignment+24:], 0x4000) // SizeOfImage
	le.PutUint32(h[optHeaders:], 0x400)
	le.PutUint16(h[peOpt+68:], 1) // a native program
	le.PutUint32(h[optDirs32+16:], 16)
	for i, s := range []struct{ name, rva, size, offset int }{{'t', 0x1000, 0x1200, 0x400}, {'d', 0x3000, 0x200, 0x1600}} {
		at := h[peOpt+240+i*sectionHeader:]
		at[0] = byte(s.name)
		for j, v := range []int{s.size, s.rva, s.size, s.offset} {
			le.PutUint32(at[8+4*j:], uint32(v))
		}
	}
	for i := range b[0x400:] {
		b[0x400+i] = byte(i * 7)
	}
	return b
}

// wish says how a file is signed.
type wish struct {
	stamped int  // the year of its timestamp; 0: none
	pages   bool // with page hashes
	nest    bool // into the signature that is there
}

// sign has osslsigncode sign an image.
func (a *authority) sign(t testing.TB, image []byte, w wish) []byte {
	t.Helper()
	tool := osslsigncode(t)
	dir := t.TempDir()
	write := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	key := func(name string, i *identity) string {
		der, err := x509.MarshalPKCS8PrivateKey(i.key)
		if err != nil {
			t.Fatal(err)
		}
		return write(name, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	}
	out := filepath.Join(dir, "out.sys")
	args := []string{
		"sign", "-certs", write("cs.pem", a.signer.pem()), "-key", key("cs.key", a.signer), "-ac", write("ca.pem", a.root.pem()),
		"-h", "sha256", "-n", "test driver", "-time", strconv.FormatInt(year(2021).Unix(), 10),
	}
	if w.pages {
		args = append(args, "-ph")
	}
	if w.nest {
		args = append(args, "-nest")
	}
	if w.stamped != 0 {
		args = append(args, "-TSA-certs", write("tsa.pem", append(a.stamper.pem(), a.root.pem()...)), "-TSA-key", key("tsa.key", a.stamper),
			"-TSA-time", strconv.FormatInt(year(w.stamped).Unix(), 10))
	}
	args = append(args, "-in", write("in.sys", image), "-out", out)
	if text, err := exec.Command(tool, args...).CombinedOutput(); err != nil {
		t.Fatalf("osslsigncode: %v\n%s", err, text)
	}
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// osslsigncode is the witness, without which a test skips; CI has it.
func osslsigncode(t testing.TB) string {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("nobody signs under Wine: the same code is tested with osslsigncode on Linux")
	}
	path, err := exec.LookPath("osslsigncode")
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip("osslsigncode is needed to sign: install Debian's package of that name")
	}
	return path
}

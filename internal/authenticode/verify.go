package authenticode

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

// Options of a verification.
type Options struct {
	Anchors *Anchors  // nil: BuiltIn, and on Windows the system is asked too
	Now     time.Time // when signatures without a timestamp are judged; zero: now
}

// File verifies a file; see Verify. On Windows with the built-in anchors WinVerifyTrust has the last word, and Report.System says
// what it was. It reads the file once, up to 64 MiB, and blocks as long as that takes.
func File(path string, o Options) (*Report, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is no regular file", path)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxImage+1))
	if err != nil {
		return nil, err
	}
	asked := o.Anchors == nil
	r, err := Verify(data, o)
	r.Path = path
	if asked {
		err = r.askSystem(f, err)
	}
	if err != nil {
		err = fmt.Errorf("%s: %w", path, err)
	}
	return r, err
}

// Verify judges the signatures of a PE image. The error is nil iff there is at least one and every one of them holds: it signs
// this image (and its pages, where it lists them), and its certificate leads to an anchor, at the time of its timestamp or else
// now. Otherwise it is over ErrFormat, ErrUnsigned, ErrTampered or ErrUntrusted. The report is never nil, and tells of every
// signature that could be read.
func Verify(data []byte, o Options) (*Report, error) {
	if o.Anchors == nil {
		o.Anchors = BuiltIn()
	}
	if o.Now.IsZero() {
		o.Now = time.Now()
	}
	r := &Report{Size: len(data), SHA256: fmt.Sprintf("%x", sha256.Sum256(data)), Anchors: o.Anchors.Name, Signatures: []Signature{}}
	return r, r.close(r.read(data, &o))
}

// close settles what the report says.
func (r *Report) close(err error) error {
	r.Valid, r.Problem = err == nil, ""
	if err != nil {
		r.Problem = err.Error()
	}
	return err
}

func (r *Report) read(data []byte, o *Options) error {
	im, err := readImage(data)
	if err != nil {
		return err
	}
	blobs, err := im.certificates()
	if err != nil {
		return err
	}
	if len(blobs) == 0 {
		return ErrUnsigned
	}
	v := verifier{image: im, options: o, digests: map[crypto.Hash][]byte{}}
	for _, b := range blobs {
		r.add(&v, b, false)
	}
	var errs []error
	for i := range r.Signatures {
		if err := r.Signatures[i].err; err != nil {
			errs = append(errs, fmt.Errorf("signature %d: %w", i+1, err))
		}
	}
	return errors.Join(errs...)
}

// add judges one signature and those nested in it, which are one level deep.
func (r *Report) add(v *verifier, blob []byte, nested bool) {
	if len(r.Signatures) == maxSignatures {
		r.Signatures[0].fail(fmt.Errorf("%w: more than %d signatures", ErrFormat, maxSignatures))
		return
	}
	s := Signature{Nested: nested}
	m, err := readMessage(blob)
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrTampered, err)
	} else {
		err = v.judge(m, &s)
	}
	s.fail(err)
	r.Signatures = append(r.Signatures, s)
	if m == nil || nested {
		return
	}
	for _, b := range find(m.signer.unsigned, oidNested) {
		r.add(v, b, true)
	}
}

// fail keeps the first problem.
func (s *Signature) fail(err error) {
	if err != nil && s.err == nil {
		s.err, s.Problem = err, err.Error()
	}
}

// verifier is what the signatures of one image share.
type verifier struct {
	image   *image
	options *Options
	digests map[crypto.Hash][]byte
}

// judge takes the steps in this order: who signed; is it this image; are they its pages; when; and do we trust them.
func (v *verifier) judge(m *message, s *Signature) error {
	if !m.content.Equal(oidIndirectData) {
		return fmt.Errorf("%w: signed content of type %v is no image", ErrTampered, m.content)
	}
	cert, err := m.signer.check(m.content, m.body, m.certs)
	if cert != nil {
		s.Signer = newSigner(cert)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrTampered, err)
	}
	s.Program = m.signer.program()
	if err := v.matches(m, s); err != nil {
		return fmt.Errorf("%w: %w", ErrTampered, err)
	}
	at, err := v.when(m, s)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(cert.UnknownExtKeyUsage, oidLifetime.Equal) {
		at = v.options.Now // the certificate says that a timestamp does not keep its signatures
	}
	chain, err := v.options.Anchors.chain(cert, m.certs, at, x509.ExtKeyUsageCodeSigning)
	s.Signer.trust(chain)
	if err != nil {
		return fmt.Errorf("%q: %w", s.Signer.Name, err)
	}
	return nil
}

// matches compares the digests that were signed with those of the image.
func (v *verifier) matches(m *message, s *Signature) error {
	d, f, err := readIndirect(m.body)
	if err != nil {
		return err
	}
	s.Algorithm, s.Digest = f.String(), fmt.Sprintf("%x", d.Digest.Sum)
	if v.digests[f] == nil {
		v.digests[f] = v.image.digest(f)
	}
	if !bytes.Equal(d.Digest.Sum, v.digests[f]) {
		return fmt.Errorf("the file's %v %x %w the signed %x", f, v.digests[f], errBroken, d.Digest.Sum)
	}
	signed, err := d.pageHashes()
	if err != nil || signed == nil {
		return err
	}
	have, err := v.image.pageHashes(crypto.SHA256)
	if err != nil {
		return err
	}
	const entry = 4 + sha256.Size
	s.PageHashes = len(have) / entry
	if i := differ(signed, have, entry); i >= 0 {
		return fmt.Errorf("page hash %d of %d %w the file", i+1, len(signed)/entry, errBroken)
	}
	return nil
}

// differ finds the first entry that is not the same; -1: none. What fills up the end with zeros is no difference.
func differ(signed, have []byte, entry int) int {
	for at := 0; at < max(len(signed), len(have)); at += entry {
		a, b := signed[min(at, len(signed)):min(at+entry, len(signed))], have[min(at, len(have)):min(at+entry, len(have))]
		if !bytes.Equal(a, b) && (len(b) > 0 || len(bytes.Trim(a, "\x00")) > 0) {
			return at / entry
		}
	}
	return -1
}

// when is the time that the signature is judged at.
func (v *verifier) when(m *message, s *Signature) (time.Time, error) {
	t, err := m.timestamp()
	if err != nil {
		return time.Time{}, fmt.Errorf("%w: timestamp: %w", ErrTampered, err)
	}
	if t == nil {
		return v.options.Now, nil
	}
	s.Timestamp = &Timestamp{Time: t.at, Kind: t.kind, Signer: *newSigner(t.signer)}
	if t.at.After(v.options.Now.Add(24 * time.Hour)) { // clocks and zones differ, but not by more
		return t.at, fmt.Errorf("%w: its timestamp %s is in the future", ErrUntrusted, t.at.Format(time.RFC3339))
	}
	chain, err := v.options.Anchors.chain(t.signer, t.certs, t.at, x509.ExtKeyUsageTimeStamping)
	s.Timestamp.Signer.trust(chain)
	if err != nil {
		return t.at, fmt.Errorf("timestamp of %q: %w", s.Timestamp.Signer.Name, err)
	}
	return t.at, nil
}

func newSigner(c *x509.Certificate) *Signer {
	return &Signer{Name: nameOf(c.Subject), Issuer: nameOf(c.Issuer), Serial: Serial(c.SerialNumber), NotBefore: c.NotBefore.UTC(), NotAfter: c.NotAfter.UTC()}
}

// oidHardware is the key usage of Microsoft's hardware compatibility publisher (WHQL and its successors).
var oidHardware = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 10, 3, 5}

// trust notes the way to the anchor.
func (s *Signer) trust(chain []*x509.Certificate) {
	for _, c := range chain[min(1, len(chain)):] {
		s.Chain = append(s.Chain, nameOf(c.Subject))
	}
	if len(chain) > 0 {
		s.Microsoft = slices.ContainsFunc(chain[0].UnknownExtKeyUsage, oidHardware.Equal) &&
			strings.HasPrefix(nameOf(chain[len(chain)-1].Subject), "Microsoft ")
	}
}

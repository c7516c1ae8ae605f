package authenticode

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"slices"
)

// Object identifiers, of RFC 5652 (CMS), RFC 3161 (timestamps) and Microsoft's Authenticode.
var (
	oidSignedData   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidContentType  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidDigest       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	oidSigningTime  = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 5}
	oidCounter      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 6}
	oidTSTInfo      = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4}
	oidIndirectData = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 4}
	oidProgram      = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 12}
	oidImageData    = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 1, 15}
	oidPageHashes   = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 3, 2} // SHA-256
	oidNested       = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 2, 4, 1}
	oidTimestamp    = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 3, 3, 1} // a token of RFC 3161
	oidLifetime     = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 10, 3, 13}
	oidSHA1         = asn1.ObjectIdentifier{1, 3, 14, 3, 2, 26}
	oidSHA256       = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	oidSHA384       = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 2}
	oidSHA512       = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 3}
)

type contentInfo struct {
	Type    asn1.ObjectIdentifier
	Content asn1.RawValue `asn1:"explicit,tag:0,optional"`
}

type signedData struct {
	Version      int
	Digests      asn1.RawValue // a set, which says nothing that signerInfo does not
	Content      contentInfo
	Certificates asn1.RawValue `asn1:"optional,tag:0"`
	CRLs         asn1.RawValue `asn1:"optional,tag:1"`
	Signers      []signerForm  `asn1:"set"`
}

// signerForm is SignerInfo as it is encoded.
type signerForm struct {
	Version   int
	Who       issuerAndSerial
	Digest    pkix.AlgorithmIdentifier
	Signed    asn1.RawValue `asn1:"optional,tag:0"`
	Algorithm pkix.AlgorithmIdentifier
	Signature []byte
	Unsigned  asn1.RawValue `asn1:"optional,tag:1"`
}

type signerInfo struct {
	signerForm
	signed, unsigned []attribute
}

type issuerAndSerial struct {
	Issuer asn1.RawValue
	Serial *big.Int
}

type attribute struct {
	Type   asn1.ObjectIdentifier
	Values asn1.RawValue `asn1:"set"`
}

// message is a SignedData with one signer.
type message struct {
	content asn1.ObjectIdentifier
	body    []byte // what is digested: the content's bytes, without its tag and length
	certs   []*x509.Certificate
	signer  signerInfo
}

// unmarshal reads one value and wants nothing behind it.
func unmarshal(b []byte, v any) error {
	rest, err := asn1.Unmarshal(b, v)
	if err == nil && len(rest) > 0 {
		return fmt.Errorf("%d bytes too many", len(rest))
	}
	return err
}

// readMessage reads a PKCS #7 ContentInfo that holds SignedData. Zeros that fill b up to 8 bytes are left out.
func readMessage(b []byte) (*message, error) {
	var outer contentInfo
	rest, err := asn1.Unmarshal(b, &outer)
	switch {
	case err != nil:
		return nil, fmt.Errorf("no PKCS #7: %w", err)
	case len(rest) > 7 || len(bytes.Trim(rest, "\x00")) > 0:
		return nil, fmt.Errorf("%d bytes behind the signature, which nothing covers", len(rest))
	case !outer.Type.Equal(oidSignedData):
		return nil, fmt.Errorf("PKCS #7 content of type %v, want signed data", outer.Type)
	}
	var sd signedData
	if err := unmarshal(outer.Content.Bytes, &sd); err != nil {
		return nil, fmt.Errorf("no PKCS #7 signed data: %w", err)
	}
	if len(sd.Signers) != 1 {
		return nil, fmt.Errorf("%d signers, want one", len(sd.Signers))
	}
	m := &message{content: sd.Content.Type, certs: readCertificates(sd.Certificates.Bytes), signer: signerInfo{signerForm: sd.Signers[0]}}
	var body asn1.RawValue
	if err := unmarshal(sd.Content.Content.Bytes, &body); err != nil {
		return nil, fmt.Errorf("content: %w", err)
	}
	m.body = body.Bytes
	return m, m.signer.readAttributes()
}

// readCertificates leaves out what cannot be read: it signed nothing here, or that signature has no signer.
func readCertificates(b []byte) (certs []*x509.Certificate) {
	for len(b) > 0 && len(certs) < maxCertificates {
		var raw asn1.RawValue
		rest, err := asn1.Unmarshal(b, &raw)
		if err != nil {
			return certs
		}
		if c, err := x509.ParseCertificate(raw.FullBytes); err == nil {
			certs = append(certs, c)
		}
		b = rest
	}
	return certs
}

func (s *signerInfo) readAttributes() (err error) {
	if s.signed, err = readAttributes(s.Signed.Bytes); err == nil {
		s.unsigned, err = readAttributes(s.Unsigned.Bytes)
	}
	return err
}

func readAttributes(b []byte) (list []attribute, err error) {
	for len(b) > 0 {
		var a attribute
		if b, err = asn1.Unmarshal(b, &a); err != nil {
			return nil, fmt.Errorf("attribute: %w", err)
		}
		if list = append(list, a); len(list) > maxAttributes {
			return nil, fmt.Errorf("more than %d attributes", maxAttributes)
		}
	}
	return list, nil
}

// find returns the values of the attributes of a type, each with its tag.
func find(list []attribute, typ asn1.ObjectIdentifier) (values [][]byte) {
	for _, a := range list {
		if !a.Type.Equal(typ) {
			continue
		}
		for b := a.Values.Bytes; len(b) > 0; {
			var v asn1.RawValue
			rest, err := asn1.Unmarshal(b, &v)
			if err != nil {
				break
			}
			values, b = append(values, v.FullBytes), rest
		}
	}
	return values
}

// one reads the value of an attribute that must be there once.
func (s *signerInfo) one(typ asn1.ObjectIdentifier, name string, v any) error {
	values := find(s.signed, typ)
	if len(values) != 1 {
		return fmt.Errorf("%d signed attributes %s, want one", len(values), name)
	}
	if err := unmarshal(values[0], v); err != nil {
		return fmt.Errorf("attribute %s: %w", name, err)
	}
	return nil
}

// errBroken marks what no honest signer makes: bytes and signature do not belong together.
var errBroken = errors.New("does not match")

// check verifies that s signs body, of a content type, and returns the signer's certificate from among certs.
func (s *signerInfo) check(content asn1.ObjectIdentifier, body []byte, certs []*x509.Certificate) (*x509.Certificate, error) {
	f, err := hashOf(s.Digest)
	if err != nil {
		return nil, err
	}
	cert := s.certificate(certs)
	if cert == nil {
		return nil, fmt.Errorf("the certificate of its signer (serial %s) is not in it", Serial(s.Who.Serial))
	}
	var sum []byte
	if err := s.one(oidDigest, "message digest", &sum); err != nil {
		return cert, err
	}
	var typ asn1.ObjectIdentifier
	if err := s.one(oidContentType, "content type", &typ); err != nil {
		return cert, err
	}
	if !typ.Equal(content) {
		return cert, fmt.Errorf("the signed content type %v %w that of the content, %v", typ, errBroken, content)
	}
	if !bytes.Equal(sum, digestOf(f, body)) {
		return cert, fmt.Errorf("the digest that was signed %w the content", errBroken)
	}
	signed := slices.Clone(s.Signed.FullBytes) // not empty: two attributes were found there
	signed[0] = 0x31                           // the signature is over a set, RFC 5652 5.4
	return cert, verify(cert, f, signed, s.Signature)
}

// certificate is the signer's, by issuer and serial number.
func (s *signerInfo) certificate(certs []*x509.Certificate) *x509.Certificate {
	if s.Who.Serial == nil {
		return nil
	}
	for _, c := range certs {
		if c.SerialNumber.Cmp(s.Who.Serial) == 0 && bytes.Equal(c.RawIssuer, s.Who.Issuer.FullBytes) {
			return c
		}
	}
	return nil
}

// verify checks a signature of RSA (PKCS #1 v1.5) or ECDSA, whichever the key is for.
func verify(cert *x509.Certificate, f crypto.Hash, signed, signature []byte) error {
	sum := digestOf(f, signed)
	good := false
	switch key := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		good = rsa.VerifyPKCS1v15(key, f, sum, signature) == nil
	case *ecdsa.PublicKey:
		good = ecdsa.VerifyASN1(key, sum, signature)
	default:
		return fmt.Errorf("a key of kind %v, want RSA or ECDSA", cert.PublicKeyAlgorithm)
	}
	if !good {
		return fmt.Errorf("the signature %w the key of its signer", errBroken)
	}
	return nil
}

// hashOf knows the digests that still prove something.
func hashOf(a pkix.AlgorithmIdentifier) (crypto.Hash, error) {
	switch {
	case a.Algorithm.Equal(oidSHA256):
		return crypto.SHA256, nil
	case a.Algorithm.Equal(oidSHA384):
		return crypto.SHA384, nil
	case a.Algorithm.Equal(oidSHA512):
		return crypto.SHA512, nil
	case a.Algorithm.Equal(oidSHA1):
		return 0, errors.New("digests of SHA-1, which can be forged")
	}
	return 0, fmt.Errorf("an unknown digest %v, want SHA-256, SHA-384 or SHA-512", a.Algorithm)
}

func digestOf(f crypto.Hash, b []byte) []byte {
	h := f.New()
	h.Write(b)
	return h.Sum(nil)
}

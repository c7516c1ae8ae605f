package authenticode

import (
	"crypto/x509"
	_ "embed" // the anchors
	"encoding/pem"
	"errors"
	"fmt"
	"time"
)

//go:embed anchors.pem
var builtIn []byte

// Anchors are the certificates that a chain may end at.
type Anchors struct {
	Name string // of where they are from, for reports
	pool *x509.CertPool
	n    int
}

// BuiltIn are the roots that the signers of WinDivert's releases chain to, and no others: Microsoft Root Certificate Authority 2010
// (every driver that Windows 10 and later load), AAA Certificate Services (Sectigo's code signing) and USERTrust RSA (Sectigo's
// timestamps). The pool of a system is not asked: on Linux it is meant for web sites, and it lacks Microsoft's.
func BuiltIn() *Anchors {
	a, err := ReadAnchors("built-in anchors", builtIn)
	if err != nil {
		panic(err) // a test reads them
	}
	return a
}

// ReadAnchors reads certificates in PEM. The error says that there is none, or which cannot be read.
func ReadAnchors(name string, text []byte) (*Anchors, error) {
	a := &Anchors{Name: name, pool: x509.NewCertPool()}
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		a.n++
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: certificate %d: %w", name, a.n, err)
		}
		a.pool.AddCert(c)
	}
	if a.n == 0 {
		return nil, fmt.Errorf("%s: no certificate in PEM (-----BEGIN CERTIFICATE-----)", name)
	}
	return a, nil
}

// chain finds the way from a certificate to an anchor, as it was at a time and for a use.
func (a *Anchors) chain(cert *x509.Certificate, others []*x509.Certificate, at time.Time, use x509.ExtKeyUsage) ([]*x509.Certificate, error) {
	between := x509.NewCertPool()
	for _, c := range others {
		between.AddCert(c)
	}
	chains, err := cert.Verify(x509.VerifyOptions{
		Roots: a.pool, Intermediates: between, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{use},
	})
	if err == nil {
		return chains[0], nil
	}
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &unknown):
		return nil, fmt.Errorf("no chain to one of the %d %s; the last issuer is %s: %w", a.n, a.Name, lastIssuer(cert, others), ErrUntrusted)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return nil, fmt.Errorf("its chain has a certificate that was not valid at %s: %w", at.Format(time.RFC3339), ErrUntrusted)
	case errors.As(err, &invalid) && invalid.Reason == x509.IncompatibleUsage && use == x509.ExtKeyUsageTimeStamping:
		return nil, fmt.Errorf("its certificate is not for timestamps: %w", ErrUntrusted)
	case errors.As(err, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		return nil, fmt.Errorf("its certificate is not for code signing: %w", ErrUntrusted)
	}
	return nil, fmt.Errorf("%w: %w", ErrUntrusted, err)
}

// lastIssuer follows the issuers by name, for an error that says which anchor lacks.
func lastIssuer(cert *x509.Certificate, others []*x509.Certificate) string {
	for range others {
		for _, c := range others {
			if string(c.RawSubject) == string(cert.RawIssuer) && c != cert {
				cert = c
				break
			}
		}
	}
	return fmt.Sprintf("%q", nameOf(cert.Issuer))
}

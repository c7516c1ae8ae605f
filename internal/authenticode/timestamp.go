package authenticode

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"time"
)

// stamp is somebody's word for when a signature existed.
type stamp struct {
	at     time.Time
	signer *x509.Certificate
	certs  []*x509.Certificate
	kind   string
}

// oidData is the content type of a countersignature.
var oidData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}

// timestamp reads the timestamp of a signature and checks that it is one of these very bytes. nil: there is none.
func (m *message) timestamp() (*stamp, error) {
	tokens, counters := find(m.signer.unsigned, oidTimestamp), find(m.signer.unsigned, oidCounter)
	switch {
	case len(tokens)+len(counters) == 0:
		return nil, nil
	case len(tokens) > 0:
		return m.token(tokens[0])
	default:
		return m.counter(counters[0])
	}
}

// tstInfo is what a token of RFC 3161 says (its section 2.4.2) first; what may follow is not needed.
type tstInfo struct {
	version int
	policy  asn1.ObjectIdentifier
	imprint struct {
		Algorithm pkix.AlgorithmIdentifier
		Sum       []byte
	}
	serial *big.Int
	at     time.Time
}

// token checks a timestamp of RFC 3161.
func (m *message) token(b []byte) (*stamp, error) {
	t, err := readMessage(b)
	if err != nil {
		return nil, err
	}
	if !t.content.Equal(oidTSTInfo) {
		return nil, fmt.Errorf("content of type %v, want a time", t.content)
	}
	cert, err := t.signer.check(t.content, t.body, t.certs)
	if err != nil {
		return nil, err
	}
	var info tstInfo
	if err := info.read(t.body); err != nil {
		return nil, err
	}
	f, err := hashOf(info.imprint.Algorithm)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(info.imprint.Sum, digestOf(f, m.signer.Signature)) {
		return nil, fmt.Errorf("it %w this signature, but is of another", errBroken)
	}
	return &stamp{info.at.UTC(), cert, append(t.certs, m.certs...), "RFC 3161"}, nil
}

// read takes the fields up to the time, one by one, from the bytes inside the sequence.
func (i *tstInfo) read(b []byte) error {
	var seq asn1.RawValue
	if err := unmarshal(b, &seq); err != nil {
		return fmt.Errorf("no time: %w", err)
	}
	rest := seq.Bytes
	var err error
	for _, field := range []any{&i.version, &i.policy, &i.imprint, &i.serial} {
		if rest, err = asn1.Unmarshal(rest, field); err != nil {
			return fmt.Errorf("no time: %w", err)
		}
	}
	if _, err = asn1.UnmarshalWithParams(rest, &i.at, "generalized"); err != nil {
		return fmt.Errorf("no time: %w", err)
	}
	return nil
}

// counter checks a timestamp of the older kind: a countersignature (PKCS #9) of the signature, with the time it was made at.
func (m *message) counter(b []byte) (*stamp, error) {
	var s signerInfo
	if err := unmarshal(b, &s.signerForm); err != nil {
		return nil, err
	}
	if err := s.readAttributes(); err != nil {
		return nil, err
	}
	cert, err := s.check(oidData, m.signer.Signature, m.certs)
	if err != nil {
		return nil, err
	}
	var at time.Time
	if err := s.one(oidSigningTime, "signing time", &at); err != nil {
		return nil, err
	}
	return &stamp{at.UTC(), cert, m.certs, "countersignature"}, nil
}

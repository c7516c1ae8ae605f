package authenticode

import (
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"
	"unicode"
)

// What is wrong with a file, for errors.Is. ErrFormat is another.
var (
	ErrUnsigned  = errors.New("it carries no signature")
	ErrTampered  = errors.New("the file was changed after it was signed, or its signature was")
	ErrUntrusted = errors.New("not trusted")
)

// Bounds on what a file may make us do.
const (
	maxSignatures   = 16
	maxCertificates = 64  // of one signature
	maxAttributes   = 64  // of one list
	maxName         = 200 // characters
)

// Report is what a file says of its signers, and whether that holds.
type Report struct {
	Path       string      `json:"path,omitempty"`
	Size       int         `json:"size"`   // bytes
	SHA256     string      `json:"sha256"` // of the whole file
	Anchors    string      `json:"anchors"`
	Signatures []Signature `json:"signatures"`
	System     string      `json:"system,omitempty"` // what WinVerifyTrust said; empty: it was not asked
	Valid      bool        `json:"valid"`
	Problem    string      `json:"problem,omitempty"`
}

// Signature is one signature of the image. A field is valid iff the steps before it went well; Problem says which did not.
type Signature struct {
	Nested     bool       `json:"nested"`    // it lies in the first one
	Signer     *Signer    `json:"signer"`    // nil: its certificate was not found
	Algorithm  string     `json:"algorithm"` // of the digests
	Digest     string     `json:"digest"`    // of the image, as signed
	PageHashes int        `json:"page_hashes"`
	Program    string     `json:"program,omitempty"` // the name that the signer gave
	Timestamp  *Timestamp `json:"timestamp,omitempty"`
	Problem    string     `json:"problem,omitempty"`
	err        error
}

// Signer is a certificate and its way to an anchor.
type Signer struct {
	Name      string    `json:"name"`
	Issuer    string    `json:"issuer"`
	Serial    string    `json:"serial"` // hexadecimal
	NotBefore time.Time `json:"not_before"`
	NotAfter  time.Time `json:"not_after"`
	Chain     []string  `json:"chain,omitempty"` // the names above it, the anchor last
	Microsoft bool      `json:"microsoft"`       // Microsoft's hardware compatibility publisher, by its key usage and anchor
}

// Timestamp says when a signature existed.
type Timestamp struct {
	Time   time.Time `json:"time"`
	Kind   string    `json:"kind"` // "RFC 3161" or "countersignature"
	Signer Signer    `json:"signer"`
}

// Serial writes a serial number as certificate viewers do: hexadecimal, two digits for each byte.
func Serial(n *big.Int) string {
	if n == nil {
		return "none"
	}
	s := fmt.Sprintf("%X", n)
	if len(s)%2 == 1 {
		s = "0" + s
	}
	return s
}

func nameOf(n pkix.Name) string {
	if n.CommonName != "" {
		return printable(n.CommonName)
	}
	return printable(n.String())
}

// printable keeps what a file says from being orders to a terminal, and short.
func printable(s string) string {
	if runes := []rune(s); len(runes) > maxName {
		s = string(runes[:maxName]) + "…"
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return unicode.ReplacementChar
	}, s)
}

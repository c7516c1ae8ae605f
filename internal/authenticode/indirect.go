package authenticode

import (
	"bytes"
	"crypto"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"unicode/utf16"
)

// indirect is SpcIndirectDataContent: which image is meant, and its digest.
type indirect struct {
	Data struct {
		Type  asn1.ObjectIdentifier
		Value asn1.RawValue `asn1:"optional"`
	}
	Digest struct {
		Algorithm pkix.AlgorithmIdentifier
		Sum       []byte
	}
}

func readIndirect(body []byte) (d indirect, f crypto.Hash, err error) {
	if rest, err := asn1.Unmarshal(body, &d.Data); err != nil {
		return d, 0, fmt.Errorf("what was signed: %w", err)
	} else if err = unmarshal(rest, &d.Digest); err != nil {
		return d, 0, fmt.Errorf("the digest of the image: %w", err)
	}
	if !d.Data.Type.Equal(oidImageData) {
		return d, 0, fmt.Errorf("what was signed is of type %v, no PE image", d.Data.Type)
	}
	f, err = hashOf(d.Digest.Algorithm)
	return d, f, err
}

// classPageHashes is the class id that says that an image's page hashes follow (SpcSerializedObject).
var classPageHashes = []byte{
	0xa6, 0xb5, 0x86, 0xd5, 0xb4, 0xa1, 0x24, 0x66, 0xae, 0x05, 0xa2, 0x17, 0xda, 0x8e, 0x60, 0xd6,
}

// pageHashes returns the list that was signed; nil: there is none.
func (d *indirect) pageHashes() ([]byte, error) {
	var data struct {
		Flags asn1.BitString `asn1:"optional"`
		File  asn1.RawValue  `asn1:"explicit,tag:0,optional"`
	}
	if err := unmarshal(d.Data.Value.FullBytes, &data); err != nil {
		return nil, fmt.Errorf("image data: %w", err)
	}
	var link asn1.RawValue // SpcLink, whose choices are told by their tags: 1 is a moniker
	if len(data.File.Bytes) == 0 {
		return nil, nil
	}
	if err := unmarshal(data.File.Bytes, &link); err != nil || link.Tag != 1 {
		return nil, err
	}
	var moniker struct{ Class, Data []byte }
	if rest, err := asn1.Unmarshal(link.Bytes, &moniker.Class); err != nil {
		return nil, fmt.Errorf("moniker: %w", err)
	} else if err := unmarshal(rest, &moniker.Data); err != nil {
		return nil, fmt.Errorf("moniker: %w", err)
	}
	if !bytes.Equal(moniker.Class, classPageHashes) {
		return nil, nil
	}
	return readPageHashes(moniker.Data)
}

func readPageHashes(b []byte) ([]byte, error) {
	var set asn1.RawValue
	var a attribute
	var list []byte
	if err := errors.Join(unmarshal(b, &set), unmarshal(set.Bytes, &a)); err != nil {
		return nil, fmt.Errorf("page hashes: %w", err)
	}
	if !a.Type.Equal(oidPageHashes) {
		return nil, fmt.Errorf("page hashes of type %v, want those of SHA-256", a.Type)
	}
	if err := unmarshal(a.Values.Bytes, &list); err != nil {
		return nil, fmt.Errorf("page hashes: %w", err)
	}
	return list, nil
}

// program is the name that the signer gave the program (SpcSpOpusInfo); "": none.
func (s *signerInfo) program() string {
	var info struct {
		Name asn1.RawValue `asn1:"optional,explicit,tag:0"`
		More asn1.RawValue `asn1:"optional,explicit,tag:1"`
	}
	values := find(s.signed, oidProgram)
	if len(values) != 1 || unmarshal(values[0], &info) != nil {
		return ""
	}
	var name asn1.RawValue
	if unmarshal(info.Name.Bytes, &name) != nil {
		return ""
	}
	if name.Tag == 1 { // ASCII
		return printable(string(name.Bytes))
	}
	units := make([]uint16, len(name.Bytes)/2)
	for i := range units {
		units[i] = uint16(name.Bytes[2*i])<<8 | uint16(name.Bytes[2*i+1])
	}
	return printable(string(utf16.Decode(units)))
}

package rewrite

import (
	"encoding/hex"
	"errors"
	"net/netip"
)

// Config says what to change. What is not given stays as it is.
type Config struct {
	SrcAddr netip.Addr `yaml:"src-addr"`
	DstAddr netip.Addr `yaml:"dst-addr"`         // of the family of SrcAddr
	SrcPort uint16     `yaml:"src-port" min:"1"` // of TCP and UDP; 0: stays
	DstPort uint16     `yaml:"dst-port" min:"1"`
	TTL     uint8      `yaml:"ttl" min:"1"` // TTL or hop limit; 0: stays
	Payload *Payload   `yaml:"payload"`

	Verdict string `yaml:"verdict" oneof:"continue permit" default:"continue"` // after a change; empty: continue
}

// Payload says what to change behind the transport header; the length stays. Either Find is replaced where it is, or Write is
// put at Offset.
type Payload struct {
	Find     string  `yaml:"find"`
	Replace  string  `yaml:"replace"`             // as long as Find
	All      bool    `yaml:"all" default:"false"` // every place, not just the first
	Offset   *uint16 `yaml:"offset"`              // bytes from the start of the payload
	Write    string  `yaml:"write"`
	Encoding string  `yaml:"encoding" oneof:"text hex" default:"text"` // of find, replace and write; empty: text
}

// edit is a checked Payload.
type edit struct {
	find, put []byte // find is nil iff offset counts
	offset    int
	all       bool
}

func (c *Config) check() error {
	v4 := func(a netip.Addr) bool { return a.Unmap().Is4() }
	switch {
	case c.SrcAddr.Zone() != "" || c.DstAddr.Zone() != "":
		return errors.New("an address has a zone, which packets do not carry; remove the % and what follows")
	case c.SrcAddr.IsValid() && c.DstAddr.IsValid() && v4(c.SrcAddr) != v4(c.DstAddr):
		return errors.New("src-addr and dst-addr are of two families, and a packet is of one; make two callouts")
	case !c.SrcAddr.IsValid() && !c.DstAddr.IsValid() && c.SrcPort == 0 && c.DstPort == 0 && c.TTL == 0 && c.Payload == nil:
		return errors.New("nothing to rewrite; give src-addr, dst-addr, src-port, dst-port, ttl or payload")
	}
	return nil
}

// compile checks what belongs together and reads the bytes.
func (p *Payload) compile() (*edit, error) {
	if p == nil {
		return nil, nil
	}
	e := &edit{all: p.All}
	find, err1 := p.bytes(p.Find)
	replace, err2 := p.bytes(p.Replace)
	write, err3 := p.bytes(p.Write)
	if err := errors.Join(err1, err2, err3); err != nil {
		return nil, err
	}
	switch {
	case p.Find != "" && (p.Offset != nil || p.Write != ""):
		return nil, errors.New("payload: find and replace, or offset and write, not both")
	case p.Find != "" && len(find) != len(replace):
		return nil, errors.New("payload: find and replace must have the same length, since the packet keeps its length")
	case p.Find != "":
		e.find, e.put = find, replace
		return e, nil
	case p.Write == "" || p.Offset == nil:
		return nil, errors.New("payload: give find and replace, or offset and write")
	case p.Replace != "" || p.All:
		return nil, errors.New("payload: replace and all belong to find, not to offset and write")
	}
	e.put, e.offset = write, int(*p.Offset)
	return e, nil
}

func (p *Payload) bytes(s string) ([]byte, error) {
	if p.Encoding != "hex" {
		return []byte(s), nil
	}
	b, err := hex.DecodeString(s)
	if err != nil {
		return nil, errors.New("payload: find, replace and write must be pairs of hex digits with encoding: hex")
	}
	return b, nil
}

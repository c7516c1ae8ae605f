package main

import "encoding/binary"

const handshake, clientHello, serverNames, hostName = 22, 1, 0, 0

// serverName finds the name in the beginning of what a TLS client says (RFC 8446, 4.1.2 and 5.1; RFC 6066, 3). more: it may come yet.
func serverName(b []byte) (name string, more bool) {
	var msg []byte // of records, put together
	for len(msg) < 4 || len(msg) < 4+helloLen(msg) {
		if len(b) > 0 && b[0] != handshake || len(msg) > 0 && msg[0] != clientHello {
			return "", false
		}
		if len(b) < 5 {
			return "", true
		}
		end := 5 + int(binary.BigEndian.Uint16(b[3:]))
		msg = append(msg, b[5:min(end, len(b))]...)
		b = b[min(end, len(b)):]
	}
	return nameIn(msg[4 : 4+helloLen(msg)]), false
}

func helloLen(msg []byte) int { return int(msg[1])<<16 | int(msg[2])<<8 | int(msg[3]) }

// nameIn finds the name in a whole ClientHello; empty: there is none.
func nameIn(hello cursor) string {
	hello.skip(2 + 32) // version, random
	hello.vector(1)    // session
	hello.vector(2)    // cipher suites
	hello.vector(1)    // compression
	for all := hello.vector(2); len(all) >= 4; {
		kind := binary.BigEndian.Uint16(all)
		all.skip(2)
		if e := all.vector(2); kind == serverNames {
			list := e.vector(2)
			if len(list) > 0 && list[0] == hostName {
				list.skip(1)
				return string(list.vector(2))
			}
		}
	}
	return ""
}

// cursor is what was not read yet. What is too short reads as nothing.
type cursor []byte

func (c *cursor) skip(n int) { *c = (*c)[min(n, len(*c)):] }

// vector reads a length of so many bytes, and what is so long.
func (c *cursor) vector(bytes int) cursor {
	if len(*c) < bytes {
		*c = nil
		return nil
	}
	n := 0
	for _, b := range (*c)[:bytes] {
		n = n<<8 | int(b)
	}
	c.skip(bytes)
	v := (*c)[:min(n, len(*c))]
	c.skip(n)
	return v
}

package queue

import "encoding/binary"

const (
	flagRequest = 1 // NLM_F_REQUEST
	flagAck     = 4 // NLM_F_ACK
)

// begin appends the headers of a netlink message about a queue; end fills in its length.
func begin(b []byte, typ, flags uint16, seq uint32, number uint16) []byte {
	b = append(b, 0, 0, 0, 0)
	b = binary.NativeEndian.AppendUint16(b, typ)
	b = binary.NativeEndian.AppendUint16(b, flags)
	b = binary.NativeEndian.AppendUint32(b, seq)
	b = append(b, 0, 0, 0, 0)                            // port: the kernel knows ours
	b = append(b, 0, 0)                                  // AF_UNSPEC, NFNETLINK_V0
	return append(b, byte(number>>8), byte(number&0xff)) // res_id is big-endian
}

// end fills in the length of the message that starts at b[start].
func end(b []byte, start int) []byte {
	binary.NativeEndian.PutUint32(b[start:], uint32(len(b)-start))
	return b
}

// attr appends an attribute, padded.
func attr(b []byte, typ uint16, value ...byte) []byte {
	b = attrHead(b, typ, len(value))
	b = append(b, value...)
	return append(b, padding[:pad(len(value))]...)
}

// attrHead appends the header of an attribute with n bytes.
func attrHead(b []byte, typ uint16, n int) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(attrLen+n))
	return binary.NativeEndian.AppendUint16(b, typ)
}

var padding [3]byte

// pad is how many bytes follow n bytes up to the next multiple of 4.
func pad(n int) int { return -n & 3 }

func u32(v uint32) []byte { return binary.BigEndian.AppendUint32(nil, v) }

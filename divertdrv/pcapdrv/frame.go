package pcapdrv

// Frame is one record of a capture file. Its Data belongs to the Reader that gave it and is valid until the next Next.
type Frame struct {
	Time      int64 // nanoseconds since the Unix epoch; 0 where the file has no time (simple packet blocks)
	Data      []byte
	WireLen   int // bytes that the frame had on the wire, at least len(Data)
	Link      LinkType
	Direction Direction // as the record itself tells it (pcapng: epb_flags); most do not
}

// Direction is which way a packet went, seen from the host that captured, in the numbers of pcapng's epb_flags.
type Direction uint8

// The directions.
const (
	Unknown Direction = iota // the file does not say
	Inbound
	Outbound
)

// String returns "unknown", "inbound" or "outbound".
func (d Direction) String() string {
	return [...]string{"unknown", "inbound", "outbound"}[min(d, Outbound)]
}

// frameMax is the longest record that is believed, in bytes: libpcap's MAXIMUM_SNAPLEN. A longer one is a damaged length, and
// would have the reader reserve up to 4 GiB.
const frameMax = 256 << 10

package lower

// place is where a field of a header is: in a word of size bytes at off, of which it is the bits of mask above shift.
type place struct {
	in    header
	off   int16
	size  uint8
	shift uint8
	mask  uint32
}

const (
	mask8  = 0xff
	mask16 = 0xffff
	mask32 = 0xffffffff
)

// places says where the fields are that are in a header and have at most 32 bits (RFC 791, 8200, 9293, 768, 792, 4443).
var places = map[string]place{
	"ip.HdrLength": {headerIPv4, 0, 1, 0, 0xf},
	"ip.TOS":       {headerIPv4, 1, 1, 0, mask8},
	"ip.Length":    {headerIPv4, 2, 2, 0, mask16},
	"ip.Id":        {headerIPv4, 4, 2, 0, mask16},
	"ip.DF":        {headerIPv4, 6, 1, 6, 1},
	"ip.MF":        {headerIPv4, 6, 1, 5, 1},
	"ip.FragOff":   {headerIPv4, 6, 2, 0, 0x1fff},
	"ip.TTL":       {headerIPv4, 8, 1, 0, mask8},
	"ip.Protocol":  {headerIPv4, 9, 1, 0, mask8},
	"ip.Checksum":  {headerIPv4, 10, 2, 0, mask16},
	"ip.SrcAddr":   {headerIPv4, 12, 4, 0, mask32},
	"ip.DstAddr":   {headerIPv4, 16, 4, 0, mask32},

	"ipv6.TrafficClass": {headerIPv6, 0, 2, 4, mask8},
	"ipv6.FlowLabel":    {headerIPv6, 0, 4, 0, 0xfffff},
	"ipv6.Length":       {headerIPv6, 4, 2, 0, mask16},
	"ipv6.NextHdr":      {headerIPv6, 6, 1, 0, mask8},
	"ipv6.HopLimit":     {headerIPv6, 7, 1, 0, mask8},

	"icmp.Type":       {headerICMP, 0, 1, 0, mask8},
	"icmp.Code":       {headerICMP, 1, 1, 0, mask8},
	"icmp.Checksum":   {headerICMP, 2, 2, 0, mask16},
	"icmp.Body":       {headerICMP, 4, 4, 0, mask32},
	"icmpv6.Type":     {headerICMPv6, 0, 1, 0, mask8},
	"icmpv6.Code":     {headerICMPv6, 1, 1, 0, mask8},
	"icmpv6.Checksum": {headerICMPv6, 2, 2, 0, mask16},
	"icmpv6.Body":     {headerICMPv6, 4, 4, 0, mask32},

	"tcp.SrcPort":   {headerTCP, 0, 2, 0, mask16},
	"tcp.DstPort":   {headerTCP, 2, 2, 0, mask16},
	"tcp.SeqNum":    {headerTCP, 4, 4, 0, mask32},
	"tcp.AckNum":    {headerTCP, 8, 4, 0, mask32},
	"tcp.HdrLength": {headerTCP, 12, 1, 4, 0xf},
	"tcp.Urg":       {headerTCP, 13, 1, 5, 1},
	"tcp.Ack":       {headerTCP, 13, 1, 4, 1},
	"tcp.Psh":       {headerTCP, 13, 1, 3, 1},
	"tcp.Rst":       {headerTCP, 13, 1, 2, 1},
	"tcp.Syn":       {headerTCP, 13, 1, 1, 1},
	"tcp.Fin":       {headerTCP, 13, 1, 0, 1},
	"tcp.Window":    {headerTCP, 14, 2, 0, mask16},
	"tcp.Checksum":  {headerTCP, 16, 2, 0, mask16},
	"tcp.UrgPtr":    {headerTCP, 18, 2, 0, mask16},

	"udp.SrcPort":  {headerUDP, 0, 2, 0, mask16},
	"udp.DstPort":  {headerUDP, 2, 2, 0, mask16},
	"udp.Length":   {headerUDP, 4, 2, 0, mask16},
	"udp.Checksum": {headerUDP, 6, 2, 0, mask16},
}

// words says of which bytes the indexed fields are, by header: of the packet, or of the payload behind it.
var words = map[string]struct {
	behind header
	size   uint8
}{
	"packet": {noHeader, 1}, "packet16": {noHeader, 2}, "packet32": {noHeader, 4},
	"tcp.Payload": {headerTCP, 1}, "tcp.Payload16": {headerTCP, 2}, "tcp.Payload32": {headerTCP, 4},
	"udp.Payload": {headerUDP, 1}, "udp.Payload16": {headerUDP, 2}, "udp.Payload32": {headerUDP, 4},
}

// headerFields are the fields that say whether a header is there.
var headerFields = map[string]header{
	"ip": headerIPv4, "ipv6": headerIPv6, "tcp": headerTCP, "udp": headerUDP, "icmp": headerICMP, "icmpv6": headerICMPv6,
}

package pcapdrv

// Carried is what decap and place make of a frame, for tests.
type Carried struct {
	IP                    []byte
	Direction             Direction
	Loopback              bool
	Reason                Reason
	Protocol              uint16
	IPSum, TCPSum, UDPSum bool // final
}

// Decap runs one frame through what the driver does with it before the engine.
func Decap(f Frame) Carried {
	c := decap(&f)
	out := Carried{IP: c.ip, Direction: c.direction, Loopback: c.loopback, Reason: c.why, Protocol: c.protocol}
	if c.ip == nil {
		return out
	}
	s := source{frame: f}
	s.address(&c)
	out.IPSum, out.TCPSum, out.UDPSum = s.addr.IPChecksum(), s.addr.TCPChecksum(), s.addr.UDPChecksum()
	return out
}

// FrameMax is the longest frame that is read.
const FrameMax = frameMax

// BystandersMax bounds the table of bystanders.
const BystandersMax = bystandersMax

// NewPanicking returns a Reader whose library panics at its second frame.
func NewPanicking() *Reader { return &Reader{name: "hostile.pcap", format: &panicking{}} }

type panicking struct{ n int }

func (p *panicking) offset() int64 { return 40 }

func (p *panicking) next(*Frame) error {
	if p.n++; p.n > 1 {
		panic("index out of range")
	}
	return nil
}

package divertdrv

import (
	"slices"

	"github.com/weirnet/weir/divertdrv/wire"
)

// Packet is one packet: of a batch, or free (built by an embedder, cloned or held). A packet of a batch is valid until the
// batch is completed; using it later panics. Clone keeps a copy.
type Packet struct {
	Addr *Address // never nil in a packet of a batch; owned by the packet
	Data []byte   // from the IP header; its length is the packet's. May be shortened by reslicing; Resize makes it longer

	b      *Batch // nil in a free packet
	i, gen uint32
	free   *loose // headers and notes of a free packet; made when first needed
}

// note is what was done to a packet since it was received or made.
type note struct {
	parsed  bool // headers are those of Data
	changed bool // Data differs from what was received
	owes    bool // lengths and checksums do not follow Data yet
	judged  bool // wrong was determined, before the first edit
	wrong   wire.Wrong
	length  int  // of Data when it was received or made: if it is another now, the headers' lengths are owed
	resized bool // it was another in between, so what the headers say may follow from that one
}

// loose is to a free packet what slot is to one of a batch.
type loose struct {
	headers Headers
	note    note
}

func newLoose(data []byte) *loose { return &loose{note: note{length: len(data)}} }

// NewPacket returns a free packet over a and data, which it takes over.
func NewPacket(a Address, data []byte) *Packet {
	return &Packet{Addr: &a, Data: data, free: newLoose(data)}
}

// Headers returns the packet's decoded headers; they are decoded when first asked for and again after SetDirty or when Data became
// shorter than they say. The result is valid as long as the packet.
func (p *Packet) Headers() *Headers {
	h, n := p.state()
	if !n.parsed || int(h.Len) > len(p.Data) {
		wire.Parse(p.Data, h)
		n.parsed = true
	}
	return h
}

// SetDirty says that Data was changed: lengths and checksums are owed, and are made good when the packet is completed or
// injected. A checksum that was wrong before is not known to have been; Edit keeps it wrong.
func (p *Packet) SetDirty() {
	_, n := p.state()
	n.changed, n.owes, n.parsed = true, true, false
	n.resized = n.resized || len(p.Data) != n.length
}

// Edit returns Data for changing and sets the packet dirty. Before the first change it looks whether the checksums are right,
// so that the repair does not launder a packet that was corrupt already: its checksums stay wrong by as much (RFC 1624).
func (p *Packet) Edit() []byte {
	_, n := p.state()
	if !n.judged && !n.changed {
		n.wrong = p.judge()
	}
	n.judged, n.changed, n.owes, n.parsed = true, true, true, false
	n.resized = n.resized || len(p.Data) != n.length
	return p.Data
}

// Changed says whether the packet was changed since it was received or made.
func (p *Packet) Changed() bool {
	_, n := p.state()
	return n.changed
}

// Grown says whether the packet is longer than it was received or made.
func (p *Packet) Grown() bool {
	_, n := p.state()
	return len(p.Data) > n.length
}

// Settle makes good now what the packet would owe when it is injected: lengths, and checksums that a change made stale or that
// its Address does not call final. It is for whoever reads or cuts the packet before the driver gets it.
func (p *Packet) Settle() { p.settle(true) }

// Wrong says which checksums were found wrong by Edit, and by how much.
func (p *Packet) Wrong() wire.Wrong {
	_, n := p.state()
	return n.wrong
}

// Set marks a packet of a batch; why is kept for Drop only. It panics for a free packet and for one that is held.
func (p *Packet) Set(m Mark, why Cause) {
	s := p.slot("Set")
	if m == Pass {
		why = 0
	}
	s.mark, s.why = m&1, why
}

// Resize makes the packet n bytes long and sets it dirty. It grows in place or into the batch's spare block; bytes that are new
// have no set value. ErrNoRoom: the block is full; ErrTooBig: n is over MTUMax; the packet is unchanged.
func (p *Packet) Resize(n int) error {
	if n > MTUMax || n < 0 {
		return ErrTooBig
	}
	switch {
	case n <= len(p.Data):
		p.Edit()
		p.Data = p.Data[:n]
		p.SetDirty()
	case p.b == nil:
		p.Edit()
		p.Data = append(p.Data, make([]byte, n-len(p.Data))...)
		p.SetDirty()
	default:
		return p.grow(n)
	}
	return nil
}

func (p *Packet) grow(n int) error {
	p.slot("Resize")
	if n > cap(p.Data) { // the capacity ends where the packet's bytes do
		free := p.b.Free()
		if n > len(free) {
			return ErrNoRoom
		}
		p.Edit()
		copy(free, p.Data)
		p.b.used = align(p.b.used) + n
		p.Data = free[:len(p.Data):n]
	}
	p.Edit()
	p.Data = p.Data[:n]
	p.SetDirty()
	return nil
}

// Move copies the packet's bytes to the start of dst and makes that its Data; the packet is otherwise the same. It is for
// whoever must realign a header; dst must outlive the packet. It panics when dst is shorter than the packet.
func (p *Packet) Move(dst []byte) {
	p.state()
	n := copy(dst[:len(p.Data)], p.Data)
	p.Data = dst[:n:n]
}

// Clone returns a free copy that the caller owns. It allocates.
func (p *Packet) Clone() *Packet {
	_, n := p.state()
	a := *p.Addr
	c := &Packet{Addr: &a, Data: slices.Clone(p.Data), free: &loose{note: *n}}
	c.free.note.parsed = false
	return c
}

// state returns headers and notes, of a free packet or of one in a batch.
func (p *Packet) state() (*Headers, *note) {
	if p.b == nil {
		if p.free == nil {
			p.free = newLoose(p.Data)
		}
		return &p.free.headers, &p.free.note
	}
	s := p.slot("use")
	return &s.headers, &s.note
}

// slot finds the packet in its batch and panics if it is no longer the caller's.
func (p *Packet) slot(op string) *slot {
	if p.b == nil {
		panic(Misuse(op + " needs a packet of a batch"))
	}
	if p.gen != p.b.gen {
		panic(Misuse(op + " of a packet whose batch was completed"))
	}
	s := &p.b.slots[p.i]
	if s.mark == held {
		panic(Misuse(op + " of a packet that is held; use what Hold returned"))
	}
	return s
}

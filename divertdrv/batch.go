package divertdrv

import (
	"errors"
	"fmt"
	"time"

	"github.com/weirnet/weir/divertdrv/reason"
)

// headerAlign is where a batch starts each packet, in bytes: what any stack may ask of an IP header that it is sent.
const headerAlign = 8

// Mark says what becomes of a received packet when its batch is completed.
type Mark uint8

// The marks. The zero value drops: what nobody judged does not go on, and is counted.
const (
	Drop Mark = iota // it does not go back; counted under its Cause
	Pass             // it goes on, as it is or as it was modified, to strictly lower handles
	held             // set by Batch.Hold only
)

// String returns "drop", "pass" or "held".
func (m Mark) String() string { return [...]string{"drop", "pass", "held"}[min(m, held)] }

type batchState uint8

// idle ──Recv──▶ filling ──▶ received ──Complete──▶ completing ──▶ idle
const (
	idle batchState = iota
	filling
	received
	completing
)

// Batch owns one block of memory and fixed arrays for the packets of one Recv; it never grows. One goroutine owns it at a
// time. Using it out of turn panics.
type Batch struct {
	block   []byte
	used    int // bytes of block that are taken
	packets []Packet
	n       int
	limit   int // of n in this round
	slots   []slot
	addrs   []Address
	owner   *Handle
	gen     uint32 // one per Recv; a packet of an older one panics when it is used
	state   batchState
}

// slot is what a batch knows of a packet besides what Packet shows.
type slot struct {
	headers Headers
	token   uint64 // the driver's own name for the packet
	note    note
	mark    Mark
	why     Cause
}

// NewBatch returns a batch with room for that many packets (1 to BatchMax) and bytes. Less than MTUMax bytes cannot take every
// packet: a driver cuts a first packet that does not fit. Numbers outside the bounds are moved to the nearest bound.
func NewBatch(packets, bytes int) *Batch {
	packets = min(max(packets, 1), BatchMax)
	return &Batch{
		block:   make([]byte, max(bytes, headerAlign)),
		packets: make([]Packet, packets),
		slots:   make([]slot, packets),
		addrs:   make([]Address, packets),
	}
}

// Packets returns the packets in the driver's order, held ones too. The slice is valid until Complete.
func (b *Batch) Packets() []Packet { return b.packets[:b.n] }

// Len is the number of packets, held ones too.
func (b *Batch) Len() int { return b.n }

// Outcome returns packet i's mark and, for Drop, its cause.
func (b *Batch) Outcome(i int) (Mark, Cause) { return b.slots[i].mark, b.slots[i].why }

// IsHeld says whether packet i was taken out of the batch with Hold.
func (b *Batch) IsHeld(i int) bool { return b.slots[i].mark == held }

// Hold takes packet i out of the batch: its bytes are copied into the handle's bounded pool and its driver token is kept. The
// packet is completed exactly once: by Held.Release, from any goroutine and in any order; at the deadline (counted from now;
// 0 or less: none) with byDefault; or by Close with byDefault. ErrHoldFull: the packet stays in the batch with byDefault as
// its mark, and HoldFull as the cause of a drop.
func (b *Batch) Hold(i int, deadline time.Duration, byDefault Mark) (*Held, error) {
	b.expect(received, "Hold")
	s := &b.slots[i]
	if s.mark == held {
		panic(Misuse("Hold of a packet that is held"))
	}
	hd, err := b.owner.hold(b, i, deadline, byDefault)
	if err != nil {
		s.mark, s.why = byDefault&Pass, reason.HoldFull
		if errors.Is(err, ErrClosed) {
			s.why = reason.Abandoned
		}
		return nil, err
	}
	s.mark = held
	return hd, nil
}

func (b *Batch) expect(want batchState, op string) {
	if b.state != want {
		panic(Misuse(fmt.Sprintf("%s on a batch that is %s, want %s", op, b.state, want)))
	}
}

func (s batchState) String() string {
	return [...]string{"idle", "being filled", "received", "being completed"}[s]
}

// begin makes the batch h's to fill.
func (b *Batch) begin(h *Handle) {
	b.expect(idle, "Recv")
	b.state, b.owner = filling, h
	b.used, b.n, b.limit = 0, 0, len(b.packets)
	b.gen++
}

// end makes it anybody's. Packets of this round panic from here on.
func (b *Batch) end() {
	b.state, b.owner = idle, nil
	b.n = 0
	b.gen++
}

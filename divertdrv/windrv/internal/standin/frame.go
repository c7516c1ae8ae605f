package standin

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Operation is what a frame asks; the numbers are those of driver/frame.h, from Initialize on WinDivert's own.
type Operation uint32

// The operations.
const (
	Create     Operation = 1
	Close      Operation = 2
	Cancel     Operation = 3
	Initialize Operation = 0x921
	Startup    Operation = 0x922
	Recv       Operation = 0x923
	Send       Operation = 0x924
	SetParam   Operation = 0x925
	GetParam   Operation = 0x926
	Shutdown   Operation = 0x927
)

const (
	headSize  = 40
	frameMax  = 32 << 20
	addrBytes = 80
)

// frame is a question or an answer; see struct frame in driver/frame.h.
type frame struct {
	id        uint32
	operation Operation
	status    Status
	addresses uint32 // bytes of payload that are addresses; Recv asks for at most that many
	room      uint32 // Recv asks for at most that many bytes of packets
	words     [16]byte
	payload   []byte
}

func (f *frame) word(i int) uint64 { return binary.LittleEndian.Uint64(f.words[8*i:]) }

func readFrame(r io.Reader) (*frame, error) {
	var head [headSize]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	field := func(i int) uint32 { return binary.LittleEndian.Uint32(head[4*i:]) }
	f := &frame{id: field(1), operation: Operation(field(2)), status: Status(field(3)), addresses: field(4), room: field(5)}
	copy(f.words[:], head[24:])
	if field(0) > frameMax || f.operation == Send && f.addresses > field(0) {
		return nil, fmt.Errorf("a frame of %d bytes with %d bytes of addresses", field(0), f.addresses)
	}
	f.payload = make([]byte, field(0))
	_, err := io.ReadFull(r, f.payload)
	return f, err
}

// append writes the frame behind b.
func (f *frame) append(b []byte) []byte {
	for _, v := range []uint32{uint32(len(f.payload)), f.id, uint32(f.operation), uint32(f.status), f.addresses, f.room} {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	b = append(b, f.words[:]...)
	return append(b, f.payload...)
}

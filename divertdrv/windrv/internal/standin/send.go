package standin

import (
	"encoding/binary"
	"errors"
	"unsafe"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/wire"
)

// send injects packet after packet as WinDivert's driver does: each is as long as its header says; a packet that cannot be read
// ends it, one that the stack refuses does not, and the last refusal is the answer for all.
func (e *end) send(f *frame) Status {
	status := OK
	addrs, data := f.payload[:f.addresses], f.payload[f.addresses:]
	for ; len(addrs) >= addrBytes; addrs = addrs[addrBytes:] {
		n, hard := lengthOf(data)
		if hard != OK {
			return hard
		}
		var a divertdrv.Address
		copy((*[addrBytes]byte)(unsafe.Pointer(&a))[:], addrs)
		refusal, refused := e.server.refuses(data[:n])
		if refused {
			status, data = refusal, data[n:]
			continue
		}
		_, err := e.handle.Inject([]divertdrv.Packet{*divertdrv.NewPacket(a, data[:n:n])})
		if err != nil {
			status = statusOf(err)
		}
		if errors.Is(err, divertdrv.ErrShutdown) || errors.Is(err, divertdrv.ErrUnsupported) {
			return status // no packet went or will go
		}
		data = data[n:]
	}
	return status
}

func lengthOf(data []byte) (int, Status) {
	if len(data) < wire.IPv4HeaderLen {
		return 0, BufferTooSmall
	}
	n := 0
	switch data[0] >> 4 {
	case 4:
		n = int(binary.BigEndian.Uint16(data[2:]))
	case 6:
		if len(data) < wire.IPv6HeaderLen {
			return 0, BufferTooSmall
		}
		n = int(binary.BigEndian.Uint16(data[4:])) + wire.IPv6HeaderLen
	default:
		return 0, InvalidParameter
	}
	if n < wire.IPv4HeaderLen || n > len(data) {
		return 0, BufferTooSmall
	}
	return n, OK
}

package windrv

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
)

// WinDivert's control codes: device 0x12, functions 0x921 to 0x927, and how the buffer is passed (windivert_device.h).
const (
	codeRecv     = 0x12<<16 | 1<<14 | 0x923<<2 | 2
	codeSend     = 0x12<<16 | 3<<14 | 0x924<<2 | 1
	codeSetParam = 0x12<<16 | 3<<14 | 0x925<<2 | 1
	codeGetParam = 0x12<<16 | 1<<14 | 0x926<<2 | 2
	codeShutdown = 0x12<<16 | 3<<14 | 0x927<<2 | 1
)

// What a request says that is not over.
const (
	errIncomplete Errno = 996
	errPending    Errno = 997
)

// bufferSize is the room for packets of one operation, in bytes.
const bufferSize = 256 << 10

// block is what Windows and the driver write while a request is under way, at the start of an operation's memory. The driver is
// given addresses of it as numbers. So it lies in memory from VirtualAlloc, which no garbage collector and no growing stack
// knows, and stays until the request is over.
type block struct {
	overlapped windows.Overlapped
	words      [2]uint64 // WINDIVERT_IOCTL
	addrSize   uint32    // bytes of addrs: what there is room for, then what came
	_          uint32
	addrs      [divertdrv.BatchMax]divertdrv.Address
}

const ioctlSize = 16 // bytes of block.words, all of which the driver wants

// operation is a request with its memory, used again and again. One goroutine at a time has it.
type operation struct {
	*block
	buffer []byte // behind the block
	memory uintptr
	event  windows.Handle

	// What came of it, valid iff done.
	done bool
	n    uint32 // bytes
	err  error

	// Of a read: the first packet that nobody took yet, where its bytes start, and how many packets there was room for.
	next, offset, asked int
}

func newOperation() (*operation, error) {
	size := unsafe.Sizeof(block{}) + bufferSize
	memory, err := windows.VirtualAlloc(0, size, windows.MEM_COMMIT|windows.MEM_RESERVE, windows.PAGE_READWRITE)
	if err != nil {
		return nil, fmt.Errorf("memory for a request: %w", asErrno(err))
	}
	event, err := windows.CreateEvent(nil, 1, 0, nil)
	if err != nil {
		_ = windows.VirtualFree(memory, 0, windows.MEM_RELEASE)
		return nil, fmt.Errorf("an event for a request: %w", asErrno(err))
	}
	base := *(*unsafe.Pointer)(unsafe.Pointer(&memory)) // it is no address of Go's
	o := &operation{block: (*block)(base), memory: memory, event: event, done: true}
	o.buffer = unsafe.Slice((*byte)(unsafe.Add(base, unsafe.Sizeof(block{}))), bufferSize)
	return o, nil
}

// free gives the memory back. The request must be over.
func (o *operation) free() {
	if !o.done {
		panic("windrv: memory of a request that is under way is freed")
	}
	_ = windows.CloseHandle(o.event)
	_ = windows.VirtualFree(o.memory, 0, windows.MEM_RELEASE)
	o.block, o.buffer = nil, nil
}

// start makes the request, with n bytes of the buffer. It does not wait.
func (o *operation) start(h windows.Handle, code uint32, n int) {
	o.overlapped = windows.Overlapped{HEvent: o.event}
	_ = windows.ResetEvent(o.event)
	o.done, o.n, o.err = false, 0, nil
	var out *byte
	if n > 0 {
		out = &o.buffer[0]
	}
	err := windows.DeviceIoControl(h, code, (*byte)(unsafe.Pointer(&o.words)), ioctlSize, out, uint32(n), nil, &o.overlapped)
	switch errnoOf(err) {
	case errPending:
	case errOK:
		o.finish(h, true)
	default:
		o.done, o.err = true, asErrno(err)
	}
}

// finish looks whether the request is over, and waits for that if told to.
func (o *operation) finish(h windows.Handle, wait bool) bool {
	if o.done {
		return true
	}
	err := windows.GetOverlappedResult(h, &o.overlapped, &o.n, wait)
	if err != nil && errnoOf(err) == errIncomplete {
		return false
	}
	o.done = true
	if err != nil {
		o.err = asErrno(err)
	}
	return true
}

// cancel has the driver give the request up; it may be too late for that. The request is over when finish says so.
func (o *operation) cancel(h windows.Handle) {
	_ = windows.CancelIoEx(h, &o.overlapped) // not found: it is over already
}

// do makes a request and waits for its end.
func (o *operation) do(h windows.Handle, code uint32, n int) error {
	o.start(h, code, n)
	o.finish(h, true)
	return o.err
}

// read starts a read with room for that many packets and bytes.
func (o *operation) read(h windows.Handle, packets, bytes int) {
	o.next, o.offset, o.asked = 0, 0, packets
	o.addrSize = uint32(packets * addr.Size)
	o.words = [2]uint64{address(unsafe.Pointer(&o.addrs)), address(unsafe.Pointer(&o.addrSize))}
	o.start(h, codeRecv, bytes)
}

// send sends the first packets of addrs, whose bytes are the first n of the buffer.
func (o *operation) send(h windows.Handle, packets, n int) error {
	o.words = [2]uint64{address(unsafe.Pointer(&o.addrs)), uint64(packets * addr.Size)}
	return o.do(h, codeSend, n)
}

// address is what the driver is told of where p points, which must be into a block.
func address(p unsafe.Pointer) uint64 { return uint64(uintptr(p)) }

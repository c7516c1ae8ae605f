package standin

import (
	"errors"

	"github.com/weirnet/weir/divertdrv"
)

// Status is an NTSTATUS, which Windows turns into the error numbers of programs.
type Status uint32

// The statuses that WinDivert's driver gives, and the error number that a program sees.
const (
	OK                Status = 0
	InvalidParameter  Status = 0xc000000d // 87
	InvalidState      Status = 0xc0000184 // 22, ERROR_BAD_COMMAND
	BufferTooSmall    Status = 0xc0000023 // 122
	PipeEmpty         Status = 0xc00000d9 // 232, ERROR_NO_DATA
	Cancelled         Status = 0xc0000120 // 995, ERROR_OPERATION_ABORTED
	HostUnreachable   Status = 0xc000023d // 1232
	InsufficientSpace Status = 0xc000009a // 1450, ERROR_NO_SYSTEM_RESOURCES
)

// Win32 is the status that a program sees as that error number.
func Win32(number uint16) Status { return 0xc0010000 | Status(number) }

// statusOf says what WinDivert's driver would say of an error of divertdrv's.
func statusOf(err error) Status {
	switch {
	case err == nil:
		return OK
	case errors.Is(err, divertdrv.ErrShutdown):
		return PipeEmpty
	case errors.Is(err, divertdrv.ErrClosed):
		return Cancelled
	case errors.Is(err, divertdrv.ErrHopLimit), errors.Is(err, divertdrv.ErrUnreachable):
		return HostUnreachable
	case errors.Is(err, divertdrv.ErrMalformed):
		return BufferTooSmall
	}
	return InvalidParameter
}

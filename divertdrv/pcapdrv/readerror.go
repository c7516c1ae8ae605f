package pcapdrv

import (
	"errors"
	"fmt"
)

// What a ReadError wraps; test them with errors.Is. An error of the file system or of gzip is wrapped as it came.
var (
	ErrFormat    = errors.New("not a capture that can be read")
	ErrTruncated = errors.New("the capture is cut off")
	ErrDamaged   = errors.New("the capture is damaged")
)

// ReadError says where a capture stopped making sense. All frames before that place were delivered.
type ReadError struct {
	File       string // as it was opened
	Frames     uint64 // frames that were read whole before
	Offset     int64  // of the record or block at fault, in bytes from the start
	Compressed bool   // Offset counts decompressed bytes
	Err        error
}

func (e *ReadError) Error() string {
	where := fmt.Sprintf("at byte %d", e.Offset)
	if e.Compressed {
		where += " of the decompressed data"
	}
	if e.Frames > 0 {
		where = fmt.Sprintf("after frame %d, %s", e.Frames, where)
	}
	return fmt.Sprintf("%s: %s: %v", e.File, where, e.Err)
}

// Unwrap returns the cause.
func (e *ReadError) Unwrap() error { return e.Err }

// cut is the error for a file that ends where more was promised.
func cut(what string, have, want int) error {
	return fmt.Errorf("%w: %d of %d bytes of a %s are there; it was still being written, or not copied whole: "+
		"record or copy it again, or go on with what was read", ErrTruncated, have, want, what)
}

// damaged is the error for bytes that contradict each other.
func damaged(format string, args ...any) error {
	const remedy = "; try to repair it with editcap or pcapfix, or record it again"
	return fmt.Errorf("%w: "+format+remedy, append([]any{ErrDamaged}, args...)...)
}

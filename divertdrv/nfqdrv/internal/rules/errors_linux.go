package rules

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/divertdrv"
)

// Error says what could not be done, and what to do about it. It is divertdrv.ErrAccess where rights lack, and
// divertdrv.ErrUnsupported where the kernel lacks something.
type Error struct {
	Op     string // "make the table", …
	Err    error  // the kernel's
	Remedy string // "" where there is none to name
}

func (e *Error) Error() string {
	if e.Remedy == "" {
		return fmt.Sprintf("rules: %s: %v", e.Op, e.Err)
	}
	return fmt.Sprintf("rules: %s: %v: %s", e.Op, e.Err, e.Remedy)
}

func (e *Error) Unwrap() error { return e.Err }

// Is maps the kernel's answer onto the driver seam's causes.
func (e *Error) Is(target error) bool {
	switch target {
	case divertdrv.ErrAccess:
		return denied(e.Err)
	case divertdrv.ErrUnsupported:
		return lacking(e.Err)
	}
	return false
}

func denied(err error) bool { return errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) }

// lacking: nf_tables answers ENOENT for an expression, match or target that it does not have.
func lacking(err error) bool {
	return errors.Is(err, unix.ENOENT) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EPROTONOSUPPORT) ||
		errors.Is(err, unix.EAFNOSUPPORT)
}

const remedyAccess = "run as root or with CAP_NET_ADMIN in the network namespace's user namespace"

// failed wraps an answer of the kernel; nil stays nil. needs names the kernel's options for what was asked.
func failed(op string, err error, needs string) error {
	switch {
	case err == nil:
		return nil
	case denied(err):
		return &Error{Op: op, Err: err, Remedy: remedyAccess}
	case lacking(err):
		return &Error{Op: op, Err: err, Remedy: "the kernel needs " + needs}
	}
	return &Error{Op: op, Err: err}
}

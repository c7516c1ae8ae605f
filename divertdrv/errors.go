package divertdrv

import (
	"errors"
	"fmt"

	"github.com/weirnet/weir/divertdrv/reason"
)

// The causes that an OpError wraps; test them with errors.Is.
var (
	ErrShutdown    = errors.New("handle was shut down")
	ErrClosed      = errors.New("handle is closed")
	ErrAccess      = errors.New("access denied; run as administrator, root, or with the capabilities the driver names")
	ErrNoDriver    = errors.New("no divert driver")
	ErrHopLimit    = errors.New("hop limit used up")
	ErrTooBig      = errors.New("packet too big")
	ErrUnsupported = errors.New("not supported by this driver")
	ErrInvalid     = errors.New("invalid argument")
	ErrMalformed   = errors.New("not an IP packet of the length its header says")
	ErrMisaligned  = errors.New("IP header is not aligned as the driver requires")
	ErrUnreachable = errors.New("the stack refused the packet: no way to its destination")
	ErrNoRoom      = errors.New("no room in the batch")
	ErrHoldFull    = errors.New("no room to hold another packet")
	ErrReleased    = errors.New("packet was released before")
	ErrJudgedFull  = errors.New("no room for another judged flow")
)

// OpError says which operation of which driver failed, at which layer.
type OpError struct {
	Op     string // "open", "recv", "complete", "inject", …
	Driver string // the driver's name; empty where none was found
	Layer  Layer
	Err    error
}

func (e *OpError) Error() string {
	if e.Driver == "" {
		return fmt.Sprintf("%s at layer %v: %v", e.Op, e.Layer, e.Err)
	}
	return fmt.Sprintf("%s %s at layer %v: %v", e.Driver, e.Op, e.Layer, e.Err)
}

// Unwrap returns the cause.
func (e *OpError) Unwrap() error { return e.Err }

// opError wraps err once; nil stays nil.
func (h *Handle) opError(op string, err error) error {
	if err == nil {
		return nil
	}
	var known *OpError
	if errors.As(err, &known) {
		return err
	}
	return &OpError{Op: op, Driver: h.driver, Layer: h.layer, Err: err}
}

// CauseOf says in Stats what err, from a driver that was to put a packet back, says to a caller.
func CauseOf(err error) Cause {
	var known interface{ Cause() Cause }
	switch {
	case errors.As(err, &known):
		return known.Cause()
	case errors.Is(err, ErrClosed):
		return reason.Abandoned
	case errors.Is(err, ErrShutdown):
		return reason.Shutdown
	case errors.Is(err, ErrMalformed):
		return reason.Malformed
	case errors.Is(err, ErrTooBig):
		return reason.TooBig
	case errors.Is(err, ErrHopLimit):
		return reason.HopLimit
	default:
		return reason.SendFailed
	}
}

// Misuse is what the package panics with when a batch or packet is used out of turn. Going on would lose packets in silence, so
// whoever contains panics of others must let this one through.
type Misuse string

func (m Misuse) Error() string { return "divertdrv: " + string(m) }

package control

import (
	"errors"
	"fmt"
	"net"

	"github.com/Microsoft/go-winio"
	"golang.org/x/sys/windows"
)

// pipeAccess lets in the system, administrators, and who made the pipe: nobody else, and nobody from another machine.
const pipeAccess = "D:P(D;;GA;;;NU)(A;;GA;;;SY)(A;;GA;;;BA)(A;;GA;;;OW)"

// Listen listens on a named pipe that only administrators and this user can open. ErrTaken: somebody listens on it.
func Listen(path string) (net.Listener, error) {
	l, err := winio.ListenPipe(path, &winio.PipeConfig{SecurityDescriptor: pipeAccess, InputBufferSize: 64 << 10, OutputBufferSize: 64 << 10})
	if errors.Is(err, windows.ERROR_ACCESS_DENIED) {
		err = fmt.Errorf("%w: %w", ErrTaken, err)
	}
	if err != nil {
		return nil, fmt.Errorf("control pipe %s: %w", path, err)
	}
	return l, nil
}

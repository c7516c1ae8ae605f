package control

import (
	"context"
	"net"

	"github.com/Microsoft/go-winio"
)

// DefaultPath is the pipe of a daemon unless it is told otherwise, and where the commands look for it.
func DefaultPath() string { return `\\.\pipe\weir` }

func dial(ctx context.Context, path string) (net.Conn, error) {
	return winio.DialPipeContext(ctx, path)
}

//go:build !linux && !windows

package service

import (
	"context"
	"io"
)

// HasStateDirectory: the service has /var/lib/weir for itself.
const HasStateDirectory = false

// New returns ErrUnsupported.
func New(string) (Manager, error) { return nil, ErrUnsupported }

// Serve runs the program.
func Serve(ctx context.Context, run func(context.Context, io.Writer) int) int { return run(ctx, nil) }

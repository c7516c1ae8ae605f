package service

import (
	"context"
	"io"
)

// HasStateDirectory: the service has /var/lib/weir for itself.
const HasStateDirectory = true

// New returns the manager of this system; root is for a system that is not running, / or empty for the one that is.
func New(root string) (Manager, error) { return newSystemd(root), nil }

// Serve runs the program. Here the manager speaks to it by signals.
func Serve(ctx context.Context, run func(context.Context, io.Writer) int) int { return run(ctx, nil) }

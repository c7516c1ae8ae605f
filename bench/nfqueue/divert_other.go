//go:build !linux

package nfqueue

import (
	"context"
	"errors"
	"io"
)

// Divert cannot run here.
func Divert(context.Context, Loop, string, io.Writer) error {
	return errors.New("NFQUEUE is the Linux kernel's")
}

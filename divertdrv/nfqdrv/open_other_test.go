//go:build !linux

package nfqdrv_test

import (
	"errors"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/nfqdrv"
)

func TestElsewhere(t *testing.T) {
	_, err := divertdrv.Open("true", divertdrv.Network, &divertdrv.Options{Driver: nfqdrv.New(nfqdrv.Config{})})
	if !errors.Is(err, divertdrv.ErrUnsupported) {
		t.Errorf("%v, want ErrUnsupported", err)
	}
}

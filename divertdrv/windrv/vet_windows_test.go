package windrv_test

import (
	"errors"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/windrv"
	"github.com/weirnet/weir/internal/authenticode"
	"github.com/weirnet/weir/internal/driverlife"
)

// A driver without a signature, which the stand-in is, is not loaded unless it is forced. That it is not loaded yet is for .ci/wine to
// see to: Wine unloads drivers when it likes.
func TestUnsignedDriver(t *testing.T) {
	need(t)
	if driverlife.Forced() {
		t.Skip("here the driver is forced: " + driverlife.ForceVariable + "=1")
	}
	options := &divertdrv.Options{Driver: windrv.New(config())}
	for range 2 {
		_, err := divertdrv.Open("false", divertdrv.Network, options)
		var refused *driverlife.RefusedError
		if !errors.As(err, &refused) || !errors.Is(err, authenticode.ErrUnsigned) || !errors.Is(err, divertdrv.ErrNoDriver) {
			t.Fatalf("not forced: %v", err)
		}
	}
	t.Setenv(driverlife.ForceVariable, "1")
	h, err := divertdrv.Open("false", divertdrv.Network, options)
	var answer windrv.Errno // of the stand-in, which has no host here: it was loaded
	if err != nil && !errors.As(err, &answer) {
		t.Fatalf("forced: %v", err)
	}
	if h != nil {
		_ = h.Close() // nothing was diverted
	}
}

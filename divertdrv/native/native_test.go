package native_test

import (
	"errors"
	"runtime"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	_ "github.com/weirnet/weir/divertdrv/native"
)

// With the package linked nobody has to name a driver; a platform without one says so.
func TestLinked(t *testing.T) {
	h, err := divertdrv.Open("false", divertdrv.Network, nil)
	switch {
	case err == nil:
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	case runtime.GOOS != "linux":
		if !errors.Is(err, divertdrv.ErrNoDriver) {
			t.Errorf("%v, want ErrNoDriver", err)
		}
	case !errors.Is(err, divertdrv.ErrAccess) && !errors.Is(err, divertdrv.ErrUnsupported):
		t.Errorf("%v, want a handle, or what lacks", err)
	}
}

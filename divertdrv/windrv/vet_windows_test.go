package windrv_test

import (
	"errors"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/windrv"
	"github.com/weirnet/weir/internal/authenticode"
	"github.com/weirnet/weir/internal/driverlife"
)

// A driver without a signature, which the stand-in is, is not loaded unless it is forced.
func TestUnsignedDriver(t *testing.T) {
	need(t)
	d := windrv.New(config())
	open := func(flags divertdrv.Flags) error {
		h, err := divertdrv.Open("false", divertdrv.Network, &divertdrv.Options{Driver: d, Flags: flags})
		if err != nil {
			return err
		}
		return h.Close()
	}
	for end := time.Now().Add(time.Minute); open(divertdrv.NoInstall) == nil; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the driver of an earlier test stays loaded")
		}
	}
	t.Setenv(driverlife.ForceVariable, "")
	var refused *driverlife.RefusedError
	if err := open(0); !errors.As(err, &refused) || !errors.Is(err, authenticode.ErrUnsigned) || !errors.Is(err, divertdrv.ErrNoDriver) {
		t.Errorf("not forced: %v", err)
	}
	t.Setenv(driverlife.ForceVariable, "1")
	if err := open(0); err != nil {
		t.Errorf("forced: %v", err)
	}
}

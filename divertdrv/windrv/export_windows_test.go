package windrv

import (
	"golang.org/x/sys/windows"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/filter"
)

// OpenRaw opens a handle as Open does and gives it away bare, for a test that does with it what windrv does not.
func OpenRaw(c Config) (windows.Handle, error) {
	f, err := filter.Parse("true", divertdrv.Network)
	if err != nil {
		return 0, err
	}
	object, err := f.Object()
	if err != nil {
		return 0, err
	}
	if err := load(c.DLL); err != nil {
		return 0, err
	}
	h, err := openHandle(object, divertdrv.Network, 0, 0)
	return h.Handle, err
}

//go:build divert_cgo

package windrv

import (
	"fmt"

	"golang.org/x/sys/windows"

	"github.com/weirnet/weir/divertdrv"
)

// load has nothing to do: the library is compiled in, and looks for WinDivert64.sys beside the program.
func load(path string) error {
	if path != "" {
		return fmt.Errorf("%w: this program has WinDivert's library compiled in (divert_cgo) and loads no %s", divertdrv.ErrInvalid, path)
	}
	return nil
}

// openDirect is never needed: compiled in, divert-go knows WinDivert's own bounds of priorities.
func openDirect(_ string, _ divertdrv.Layer, priority int16, _ divertdrv.Flags) (windows.Handle, error) {
	return windows.InvalidHandle, fmt.Errorf("%w: priority %d", divertdrv.ErrInvalid, priority)
}

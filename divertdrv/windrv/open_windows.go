package windrv

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"

	"github.com/imgk/divert-go"
	"golang.org/x/sys/windows"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/internal/driverlife"
)

func (d *Driver) open(f *divertdrv.Filter, l divertdrv.Layer, o *divertdrv.Options) (divertdrv.Conn, error) {
	if err := machine(runtime.GOARCH); err != nil {
		return nil, err
	}
	run, again, err := forDriver(f, o.Flags)
	if err != nil {
		return nil, err
	}
	object, err := run.Object()
	if err != nil {
		return nil, err
	}
	if err := load(d.config.DLL); err != nil {
		return nil, err
	}
	if o.Flags&divertdrv.NoInstall != 0 {
		if !loaded() {
			return nil, errNoService
		}
	} else if err := vet(d.config.DLL); err != nil {
		return nil, err
	}
	h, err := openHandle(object, l, o.Priority, o.Flags)
	if err != nil {
		return nil, err
	}
	c := &conn{handle: h, layer: l, flags: o.Flags, holdMax: d.config.HoldMax, reads: d.config.Reads, depth: 1, want: divertdrv.MTUMax}
	if again {
		c.filter = f
	}
	if err := c.prepare(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// vet refuses a driver whose signature does not hold, before the library loads it into the kernel; one that is loaded is not judged any
// more. Where the file is missing the library says so itself.
func vet(dll string) error {
	if driverlife.Forced() {
		return nil
	}
	if dll == "" {
		exe, err := os.Executable()
		if err != nil {
			return fmt.Errorf("%w: where is this program? %w", divertdrv.ErrNoDriver, err)
		}
		dll = exe
	}
	err := driverlife.Vet(filepath.Dir(dll))
	switch refused := (*driverlife.RefusedError)(nil); {
	case errors.As(err, &refused):
		return fmt.Errorf("%w: %w", divertdrv.ErrNoDriver, err)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	}
	return err
}

// devicePath is the driver as programs open it.
const devicePath = `\\.\WinDivert`

// loaded says whether the driver is. The service entry does not tell: WinDivert's library marks it for deletion as soon as the
// driver runs. divert-go asks for the driver's version by a handle of its own that may install it, so this is asked before.
func loaded() bool {
	name, err := windows.UTF16PtrFromString(devicePath)
	if err != nil {
		return false
	}
	h, err := windows.CreateFile(name, windows.GENERIC_READ|windows.GENERIC_WRITE, 0, nil, windows.OPEN_EXISTING, windows.FILE_FLAG_OVERLAPPED, 0)
	if err != nil {
		n := errnoOf(err)
		return n != errFileNotFound && n != errPathNotFound
	}
	_ = windows.CloseHandle(h)
	return true
}

// openHandle opens a handle by divert-go, but for priorities that only WinDivert's library knows.
func openHandle(object string, l divertdrv.Layer, priority int16, flags divertdrv.Flags) (owned, error) {
	if int(priority) > int(divert.PriorityHighest) || int(priority) < int(divert.PriorityLowest) {
		h, err := openDirect(object, l, priority, flags)
		return owned{h, func() error { return windows.CloseHandle(h) }}, err
	}
	h, err := divert.Open(object, divert.Layer(l), priority, uint64(flags))
	if err != nil {
		return owned{}, asErrno(err)
	}
	return owned{h.Handle, h.Close}, nil
}

// owned is a handle and how to close it.
type owned struct {
	windows.Handle
	close func() error
}

// asErrno gives an error of a system call or of divert-go its meaning.
func asErrno(err error) error {
	if n, ok := number(err); ok {
		return n
	}
	return err
}

func errnoOf(err error) Errno {
	n, _ := number(err)
	return n
}

func number(err error) (Errno, bool) {
	var system windows.Errno
	var theirs divert.Error
	switch {
	case errors.As(err, &system):
		return Errno(system), true
	case errors.As(err, &theirs):
		return Errno(theirs), true
	}
	return 0, false
}

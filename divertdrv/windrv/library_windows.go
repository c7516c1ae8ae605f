//go:build !divert_cgo

package windrv

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/weirnet/weir/divertdrv"
)

// libraryName is what divert-go asks for, so the file must be called so.
const libraryName = "WinDivert.dll"

// Where Windows may look for what WinDivert.dll itself needs: its own folder and the system's, never the current one.
const searchFlags = windows.LOAD_LIBRARY_SEARCH_DLL_LOAD_DIR | windows.LOAD_LIBRARY_SEARCH_SYSTEM32

var library struct {
	sync.Mutex // guards what follows
	path       string
	open       uintptr // WinDivertOpen; 0: the library is not loaded
}

// load loads WinDivert.dll by its full path. When divert-go then asks for it by name it gets this one: asking by name alone
// would let anybody who can write to a folder on the search path run code as administrator. divert-go does not survive a second
// attempt after it found no library or a wrong one, so it is not asked before all is there.
func load(path string) error {
	if path == "" {
		exe, err := os.Executable()
		if err != nil {
			return fmt.Errorf("%w: where is this program? %w", divertdrv.ErrNoDriver, err)
		}
		path = filepath.Join(filepath.Dir(exe), libraryName)
	}
	if !filepath.IsAbs(path) || !strings.EqualFold(filepath.Base(path), libraryName) {
		return fmt.Errorf("%w: %q is not the full path of a file %s", divertdrv.ErrInvalid, path, libraryName)
	}
	path = filepath.Clean(path)
	library.Lock()
	defer library.Unlock()
	if library.open != 0 {
		if !strings.EqualFold(library.path, path) {
			return fmt.Errorf("%w: this process has loaded %s, and cannot load %s too", divertdrv.ErrInvalid, library.path, path)
		}
		return nil
	}
	return loadNew(path)
}

func loadNew(path string) error {
	var other windows.Handle
	name, _ := windows.UTF16PtrFromString(libraryName) // no NUL in it
	if windows.GetModuleHandleEx(windows.GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT, name, &other) == nil {
		return fmt.Errorf("%w: something else has loaded a %s into this process", divertdrv.ErrNoDriver, libraryName)
	}
	h, err := windows.LoadLibraryEx(path, 0, searchFlags)
	if err != nil {
		return fmt.Errorf("%w: loading %s: %w", divertdrv.ErrNoDriver, path, asErrno(err))
	}
	open, err := windows.GetProcAddress(h, "WinDivertOpen")
	if err == nil {
		_, err = windows.GetProcAddress(h, "WinDivertHelperCalcChecksums") // divert-go wants it
	}
	if err != nil {
		_ = windows.FreeLibrary(h)
		return fmt.Errorf("%w: %s: %w", divertdrv.ErrNoDriver, path, errProcNotFound)
	}
	library.path, library.open = path, open
	return nil
}

// openDirect is WinDivertOpen itself, for priorities that divert-go refuses: it takes no more than 3,000 either way.
func openDirect(object string, l divertdrv.Layer, priority int16, flags divertdrv.Flags) (windows.Handle, error) {
	text, err := windows.BytePtrFromString(object)
	if err != nil {
		return windows.InvalidHandle, err
	}
	library.Lock()
	open := library.open
	library.Unlock()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	r, _, last := syscall.SyscallN(open, uintptr(unsafe.Pointer(text)), uintptr(l), uintptr(priority), uintptr(flags))
	if h := windows.Handle(r); h != windows.InvalidHandle && h != 0 {
		return h, nil
	}
	return windows.InvalidHandle, Errno(last)
}

package driverlife

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"strings"
	"syscall"
)

// ErrNotWindows: there is no service to look after.
var ErrNotWindows = errors.New("WinDivert's service is on Windows only")

// Name is the service's name in WinDivert 2; versions before had a number behind it.
const Name = "WinDivert"

// State of a service, as SERVICE_STATUS has it.
type State string

// The states.
const (
	Stopped  State = "stopped"
	Starting State = "starting"
	Stopping State = "stopping" // a driver stays here until its last handle is closed
	Running  State = "running"
	Unknown  State = "unknown"
)

// Entry is a service whose name begins with WinDivert.
type Entry struct {
	Name     string `json:"name"`
	State    State  `json:"state"`
	Image    string `json:"image"`    // the path as it is registered
	File     string `json:"file"`     // the same as programs open it
	Disabled bool   `json:"disabled"` // its start type
	Deleted  bool   `json:"deleted"`  // it is marked for deletion, and goes when it has stopped
}

// loaded says that the driver is in the kernel.
func (e Entry) loaded() bool { return e.State == Running || e.State == Starting || e.State == Stopping }

// Manager is the system's service manager, as far as it is needed. Windows' errors come as they are.
type Manager interface {
	Entries() ([]Entry, error)
	Create(name, file string) error // a kernel driver that starts on demand
	Enable(name string) error       // set its start type to demand
	Start(name string) error
	Stop(name string) error   // asks; the state tells when it has
	Delete(name string) error // marks; it goes when it has stopped
	Close() error
}

// Errno is a Windows error number, as the service manager and WinDivertOpen return it.
type Errno uint32

// The numbers that this package decides by.
const (
	errFileNotFound  Errno = 2
	errPathNotFound  Errno = 3
	errAccess        Errno = 5
	errGeneral       Errno = 31
	errSignature     Errno = 577
	errIncompatible  Errno = 654
	errInUse         Errno = 1056 // already running
	errDisabled      Errno = 1058
	errNoService     Errno = 1060
	errNotActive     Errno = 1062
	errMarked        Errno = 1072
	errExists        Errno = 1073
	errBlocked       Errno = 1275
	errNoFilterAgent Errno = 1753
)

// Advice is what an error of WinDivertOpen or of the service manager means for this driver, and what mends it.
type Advice struct{ Means, Remedy string }

const (
	cleanRemedy   = "weir driver clean"
	restartRemedy = "close the programs that use it ('weir driver status' names them), then 'weir driver clean'; if it stays, restart Windows"
)

var advice = map[Errno]Advice{
	errFileNotFound:  {"the .sys file is not where the service looks for it: it was moved or deleted, or never lay beside WinDivert.dll", cleanRemedy + ", and put WinDivert64.sys beside WinDivert.dll"},
	errPathNotFound:  {"the folder that the service looks in is gone: the program that installed it was moved or deleted", cleanRemedy},
	errAccess:        {"access denied", "run as administrator"},
	errGeneral:       {"a WinDivert service is there that cannot start: most often an entry of another version or folder", cleanRemedy},
	errSignature:     {"Windows does not accept the driver's signature", "weir driver verify FILE says why; on Windows 7 install the updates for SHA-2"},
	errIncompatible:  {"an incompatible version of the driver is loaded", "stop the program that uses it ('weir driver status'), then " + cleanRemedy},
	errInUse:         {"the driver is running already", "nothing is to be done"},
	errDisabled:      {"the service is disabled, or is waiting to be deleted", cleanRemedy},
	errNoService:     {"the driver is not installed, and the handle was opened with NO_INSTALL", "weir driver install FILE"},
	errNotActive:     {"the driver is not running", "nothing is to be done"},
	errMarked:        {"the service is marked for deletion, and goes when the last handle to it is closed", restartRemedy},
	errExists:        {"a service of that name is there already", "weir driver status shows it; weir driver uninstall takes it away"},
	errBlocked:       {"security software or a policy blocks the driver (Windows has a list of vulnerable drivers)", "allow it there; 'weir driver verify FILE' shows that the file is the real one"},
	errNoFilterAgent: {"the Base Filtering Engine, which all filtering goes through, does not run", "sc start bfe"},
}

// Explain says what an error number means; ok is false for one that says nothing about the driver's life.
func Explain(e Errno) (a Advice, ok bool) {
	a, ok = advice[e]
	return a, ok
}

// Is says that the errors of files are those of io/fs.
func (e Errno) Is(target error) bool {
	return target == fs.ErrNotExist && (e == errFileNotFound || e == errPathNotFound)
}

// numberOf finds the Windows error number in an error: ours, or the one that Windows itself returned.
func numberOf(err error) (e Errno, ok bool) {
	if errors.As(err, &e) {
		return e, true
	}
	var n syscall.Errno
	if runtime.GOOS == "windows" && errors.As(err, &n) {
		return Errno(n), true
	}
	return 0, false
}

func (e Errno) Error() string {
	if a, ok := advice[e]; ok {
		return fmt.Sprintf("error %d: %s", uint32(e), a.Means)
	}
	return fmt.Sprintf("Windows error %d", uint32(e))
}

// explained adds the remedy to an error of the manager.
func explained(what string, err error) error {
	if e, ok := numberOf(err); ok {
		if a, ok := advice[e]; ok {
			return fmt.Errorf("%s: %w; mend it: %s", what, e, a.Remedy)
		}
	}
	return fmt.Errorf("%s: %w", what, err)
}

// fileOf is the path that a registered image has for programs: services name theirs in the kernel's way, relative to the folder of
// Windows, or between quotes.
func fileOf(image, windows string) string {
	p := strings.Trim(strings.TrimSpace(image), `"`)
	for _, prefix := range []string{`\??\`, `\\?\`} {
		p = strings.TrimPrefix(p, prefix)
	}
	lower := strings.ToLower(p)
	switch {
	case strings.HasPrefix(lower, `\systemroot\`):
		return windows + p[len(`\systemroot`):]
	case strings.HasPrefix(lower, `%systemroot%\`):
		return windows + p[len(`%systemroot%`):]
	case strings.HasPrefix(lower, `system32\`):
		return windows + `\` + p
	}
	return p
}

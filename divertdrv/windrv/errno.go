package windrv

import (
	"fmt"

	"github.com/weirnet/weir/divertdrv"
)

// Errno is an error number of Windows that WinDivert's library or driver gave. It wraps the sentinel of divertdrv that says
// the same to a program, if there is one, and its text says to a person what to do.
type Errno uint32

// The numbers that have a meaning here (WinDivert 2.2, windivert.html, and what users of it have met).
const (
	errOK                Errno = 0
	errFileNotFound      Errno = 2
	errPathNotFound      Errno = 3
	errAccessDenied      Errno = 5
	errInvalidHandle     Errno = 6
	errNotEnoughMemory   Errno = 8
	errOutOfMemory       Errno = 14
	errBadCommand        Errno = 22
	errGenFailure        Errno = 31
	errInvalidParameter  Errno = 87
	errOpenFailed        Errno = 110
	errBuffer            Errno = 122
	errModNotFound       Errno = 126
	errProcNotFound      Errno = 127
	errNoData            Errno = 232
	errImageHash         Errno = 577
	errNotInitialized    Errno = 592
	errPriorUnload       Errno = 654
	errAborted           Errno = 995
	errServiceDisabled   Errno = 1058
	errNoService         Errno = 1060
	errMarkedForDelete   Errno = 1072
	errServiceExists     Errno = 1073
	errNotConnected      Errno = 1167
	errInvalidNetname    Errno = 1214
	errNetUnreachable    Errno = 1231
	errHostUnreachable   Errno = 1232
	errProtocolUnreach   Errno = 1233
	errDriverBlocked     Errno = 1275
	errNoSystemResources Errno = 1450
	errNotRegistered     Errno = 1753
)

type meaning struct {
	sentinel error
	says     string
}

var meanings = map[Errno]meaning{
	errOK:              {divertdrv.ErrNoDriver, "the library gave no reason, as it does when it is compiled in (divert_cgo); is WinDivert64.sys beside the program?"},
	errFileNotFound:    {divertdrv.ErrNoDriver, "WinDivert64.sys was not found; it belongs beside WinDivert.dll"},
	errPathNotFound:    {divertdrv.ErrNoDriver, "the service WinDivert names a folder that is gone; weir driver clean removes the entry"},
	errAccessDenied:    {divertdrv.ErrAccess, "access denied; run as administrator"},
	errInvalidHandle:   {divertdrv.ErrClosed, "the handle is closed"},
	errNotEnoughMemory: {divertdrv.ErrResources, "the system is out of memory"},
	errOutOfMemory:     {divertdrv.ErrResources, "the system is out of memory"},
	errBadCommand:      {divertdrv.ErrInvalid, "the driver was not ready for the request"},
	errGenFailure: {
		divertdrv.ErrNoDriver, "the driver does not work; another version of it may be half unloaded: weir driver clean, or restart Windows",
	},
	errInvalidParameter: {divertdrv.ErrInvalid, "the driver refuses a parameter: the filter, layer, priority or flags of a handle, or the interface of a packet"},
	errOpenFailed:       {divertdrv.ErrNoDriver, "the driver was installed and could not be opened"},
	errBuffer:           {divertdrv.ErrMalformed, "the buffer does not have the length that the packet says"},
	errModNotFound:      {divertdrv.ErrNoDriver, "WinDivert.dll, or what it needs, was not found"},
	errProcNotFound:     {divertdrv.ErrNoDriver, "WinDivert.dll is another version; weir needs 2.2"},
	errNoData:           {divertdrv.ErrShutdown, "the handle was shut down"},
	errImageHash:        {divertdrv.ErrNoDriver, "Windows does not trust the signature of WinDivert64.sys; weir driver verify says why"},
	errNotInitialized:   {divertdrv.ErrUnreachable, "the stack is not ready to take the packet"},
	errPriorUnload:      {divertdrv.ErrNoDriver, "another version of WinDivert is loaded; end the programs that use it (weir driver status), or restart Windows"},
	errAborted:          {divertdrv.ErrClosed, "the request was taken back"},
	errServiceDisabled:  {divertdrv.ErrNoDriver, "the service WinDivert is disabled; weir driver clean removes the entry"},
	errNoService:        {divertdrv.ErrNoDriver, "the driver is not loaded, and the handle must not install it (no-install); weir driver install does"},
	errMarkedForDelete: {
		divertdrv.ErrNoDriver, "the service WinDivert is marked for deletion; end the programs that use it (weir driver status), or restart Windows",
	},
	errServiceExists:   {divertdrv.ErrNoDriver, "another service is called WinDivert; weir driver clean removes the entry"},
	errNotConnected:    {divertdrv.ErrNoDriver, "the driver is gone"},
	errInvalidNetname:  {divertdrv.ErrUnreachable, "the stack refused the packet: a loopback packet cannot go that way"},
	errNetUnreachable:  {divertdrv.ErrUnreachable, "the stack has no way to the packet's network"},
	errHostUnreachable: {divertdrv.ErrUnreachable, "the stack has no way to the packet's host"},
	errProtocolUnreach: {divertdrv.ErrUnreachable, "the stack does not take the packet's protocol"},
	errDriverBlocked: {
		divertdrv.ErrNoDriver, "Windows or a security program blocks the driver; allow WinDivert64.sys there (core isolation, antivirus)",
	},
	errNoSystemResources: {divertdrv.ErrResources, "the system is out of resources"},
	errNotRegistered:     {divertdrv.ErrNoDriver, "the Base Filtering Engine does not run; start the service BFE"},
}

// Error returns what the number means here, and the number.
func (e Errno) Error() string {
	if m, ok := meanings[e]; ok {
		return fmt.Sprintf("%s (Windows error %d)", m.says, uint32(e))
	}
	return fmt.Sprintf("Windows error %d", uint32(e))
}

// Unwrap returns the sentinel; nil: there is none that fits.
func (e Errno) Unwrap() error { return meanings[e].sentinel }

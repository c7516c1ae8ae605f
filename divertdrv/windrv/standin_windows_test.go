package windrv_test

import (
	"os"
	"sync"
	"testing"

	"golang.org/x/sys/windows"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/drvtest"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/divertdrv/simdrv/simtest"
	"github.com/weirnet/weir/divertdrv/windrv"
	"github.com/weirnet/weir/divertdrv/windrv/internal/standin"
	"github.com/weirnet/weir/internal/clock"
)

// libraryVariable names the environment variable that says where WinDivert.dll lies, beside the stand-in driver. .ci/wine sets it.
const libraryVariable = "WEIR_STANDIN_DLL"

// server is the one that the stand-in driver asks, for all tests of this process.
var server = sync.OnceValues(func() (*standin.Server, error) {
	return standin.Listen(nil, `C:\`+standin.PortFile)
})

// need returns the stand-in's server, and skips the test where there is no stand-in.
func need(t testing.TB) *standin.Server {
	t.Helper()
	if os.Getenv(libraryVariable) == "" {
		t.Skip("needs the stand-in driver under Wine: bash .ci/wine")
	}
	s, err := server()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func config() windrv.Config { return windrv.Config{DLL: os.Getenv(libraryVariable)} }

var networkCaps = divertdrv.Caps{
	Inject: true, InjectInbound: true, Modify: true, Grow: true, Process: true, GSO: true, IfIdx: true, Fragments: true, HoldMax: 4096,
}

// newWorld is the suite's host, behind the stand-in driver. Time is the system's, since held packets are windrv's.
func newWorld(t drvtest.T, s *standin.Server, c windrv.Config) *drvtest.World {
	w := simtest.New(t, simdrv.Config{Interfaces: simtest.Interfaces(), Clock: clock.System})
	s.Use(w.Driver)
	w.Driver, w.Caps = windrv.New(c), networkCaps
	w.Network = settled{w.Network}
	return w
}

// settled is a network that waits for handles to be gone whose closing has returned: Wine tells drivers of it later.
type settled struct{ drvtest.Network }

func (n settled) Settle() {
	n.Network.Settle()
	barrier()
}

// barrier returns when the driver has heard of all that happened before.
func barrier() {
	name, _ := windows.UTF16PtrFromString(`\\.\WinDivert`)
	h, err := windows.CreateFile(name, windows.GENERIC_READ, 0, nil, windows.OPEN_EXISTING, 0, 0)
	if err == nil {
		_ = windows.CloseHandle(h)
	}
}

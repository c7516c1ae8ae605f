package windrv_test

import (
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/drvtest"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/divertdrv/simdrv/simtest"
	"github.com/weirnet/weir/divertdrv/windrv"
	"github.com/weirnet/weir/divertdrv/windrv/internal/standin"
)

// What .ci/wine sets: that there is a stand-in driver, and where WinDivert.dll lies beside it; empty for a program that has the library
// compiled in.
const (
	standinVariable = "WEIR_STANDIN"
	libraryVariable = "WEIR_STANDIN_DLL"
)

// server is the one that the stand-in driver asks, for all tests of this process.
var server = sync.OnceValues(func() (*standin.Server, error) {
	return standin.Listen(nil, `C:\`+standin.PortFile)
})

// need returns the stand-in's server, and skips the test where there is no stand-in.
func need(t testing.TB) *standin.Server {
	t.Helper()
	if os.Getenv(standinVariable) == "" {
		t.Skip("needs the stand-in driver under Wine: bash .ci/wine")
	}
	s, err := server()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// atStart is what a handle that must not install the driver gave before the first test.
var atStart error

func TestMain(m *testing.M) {
	if os.Getenv(standinVariable) != "" && os.Getenv(stackVariable) == "" {
		_, atStart = divertdrv.Open("true", divertdrv.Network, &divertdrv.Options{Driver: windrv.New(config()), Flags: divertdrv.NoInstall})
	}
	os.Exit(m.Run())
}

const holdMax = 70 // small, so that it is soon reached

func config() windrv.Config { return windrv.Config{DLL: os.Getenv(libraryVariable), HoldMax: holdMax} }

var networkCaps = divertdrv.Caps{
	Inject: true, InjectInbound: true, Modify: true, Grow: true, Process: true, GSO: true, IfIdx: true, Fragments: true, HoldMax: holdMax,
}

// newWorld is the suite's host, behind the stand-in driver. Packets grow old in the driver's queue by a clock of the host's, which
// stands still however slow the machine is; those that are held are windrv's, and go by the system's.
func newWorld(t drvtest.T, s *standin.Server, c windrv.Config) *drvtest.World {
	w := simtest.New(t, simdrv.Config{Interfaces: simtest.Interfaces()})
	s.Use(w.Driver)
	behind(w, s, c)
	return w
}

// behind puts windrv and the stand-in before the world's driver.
func behind(w *drvtest.World, s *standin.Server, c windrv.Config) {
	w.Driver, w.Caps = &counting{Driver: windrv.New(c), server: s}, networkCaps
	advance := w.Advance
	w.Advance = func(d time.Duration) {
		advance(d)
		time.Sleep(d)
	}
}

// counting is a driver that knows how many of its handles are open.
type counting struct {
	divertdrv.Driver
	server *standin.Server
	open   atomic.Int64
}

func (d *counting) Open(f *divertdrv.Filter, l divertdrv.Layer, o *divertdrv.Options) (divertdrv.Conn, error) {
	c, err := d.Driver.Open(f, l, o)
	if err != nil {
		return nil, err
	}
	d.open.Add(1)
	return &countedConn{Conn: c, driver: d}, nil
}

type countedConn struct {
	divertdrv.Conn
	driver *counting
}

// Close returns when the driver knows of it: Wine tells drivers later than Windows does.
func (c *countedConn) Close() error {
	err := c.Conn.Close()
	c.driver.open.Add(-1)
	c.driver.settle()
	return err
}

func (d *counting) settle() {
	for until := time.Now().Add(10 * time.Second); d.server.Open() != int(d.open.Load()) && time.Now().Before(until); {
		time.Sleep(200 * time.Microsecond)
	}
}

package nfqdrv

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/weirnet/weir/divertdrv"
)

// Name is what the driver is called in errors and policies.
const Name = "nfqueue"

// SpinMax bounds Config.Spin.
const SpinMax = 10 * time.Millisecond

// Config says where and how the driver works. The zero value works in the network namespace of the thread that opens a handle,
// and lets traffic flow when the process dies.
type Config struct {
	// Namespace is the path of a network namespace (/run/netns/NAME, /proc/PID/ns/net). "": the caller's. To enter another one
	// takes CAP_SYS_ADMIN.
	Namespace string

	// FailClosed has packets that a handle matches dropped while nobody reads its queue, as when the process was killed. Its rules
	// then stay until a handle is opened by this driver again, or until somebody deletes them (nft delete table inet weir-…).
	FailClosed bool

	// Spin has Recv ask for that long before it sleeps, at most SpinMax. It takes the wake-up of a thread out of the round trip
	// and costs a processor.
	Spin time.Duration
}

// New returns a driver. It does nothing before Open.
func New(c Config) *Driver {
	c.Spin = min(max(c.Spin, 0), SpinMax)
	return &Driver{config: c}
}

// Name returns "nfqueue".
func (d *Driver) Name() string { return Name }

// Open opens a handle; it is called by divertdrv.Open. Errors wrap divertdrv.ErrUnsupported (a layer, several readers, or what the
// kernel lacks), ErrAccess (which names the capability that lacks), or what a system call says.
func (d *Driver) Open(f *divertdrv.Filter, l divertdrv.Layer, o *divertdrv.Options) (divertdrv.Conn, error) {
	c, err := d.open(f, l, o)
	if errors.Is(err, fs.ErrPermission) && !errors.Is(err, divertdrv.ErrAccess) {
		err = fmt.Errorf("%w: %w", divertdrv.ErrAccess, err) // whichever step of many it was
	}
	return c, err
}

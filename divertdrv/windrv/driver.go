package windrv

import (
	"fmt"

	"github.com/weirnet/weir/divertdrv"
)

// Name is what the driver is called in errors and policies.
const Name = "windivert"

// ReadsMax bounds Config.Reads.
const ReadsMax = 16

// Config says how the driver works. The zero value takes WinDivert from the folder of the program.
type Config struct {
	// DLL is the full path of WinDivert.dll, beside which WinDivert64.sys lies. "": in the folder of the program. One process
	// loads one library: the first that was opened.
	DLL string

	// HoldMax is how many packets of a handle may be held at once; 0: 4096.
	HoldMax int

	// Reads is how many reads are under way under load, 1 to ReadsMax; 0: 4. Without load there is one.
	Reads int
}

// Driver opens handles by WinDivert. It is safe for concurrent use.
type Driver struct{ config Config }

// New returns a driver. It loads nothing before Open.
func New(c Config) *Driver {
	if c.HoldMax <= 0 {
		c.HoldMax = 4096
	}
	if c.Reads <= 0 {
		c.Reads = 4
	}
	c.Reads = min(c.Reads, ReadsMax)
	return &Driver{config: c}
}

// Name returns "windivert".
func (d *Driver) Name() string { return Name }

// Open opens a handle; it is called by divertdrv.Open. It blocks while Windows installs and starts the driver. Errors wrap
// divertdrv.ErrUnsupported, ErrNoDriver, ErrAccess, or ErrInvalid, and an Errno where Windows gave one.
func (d *Driver) Open(f *divertdrv.Filter, l divertdrv.Layer, o *divertdrv.Options) (divertdrv.Conn, error) {
	if err := supported(o); err != nil {
		return nil, err
	}
	return d.open(f, l, o)
}

// machine says what a machine lacks, by Go's name for its kind.
func machine(arch string) error {
	if arch == "amd64" {
		return nil
	}
	return fmt.Errorf("%w: WinDivert has a signed driver for amd64, and none for %s", divertdrv.ErrNoDriver, arch)
}

func supported(o *divertdrv.Options) error {
	switch {
	case o.Readers > 1:
		return fmt.Errorf("%w: %d readers; a WinDivert handle keeps its order with one", divertdrv.ErrUnsupported, o.Readers)
	case o.Overload != divertdrv.OverloadShedOldest:
		return fmt.Errorf("%w: WinDivert's queue sheds the oldest packet, and nothing else", divertdrv.ErrUnsupported)
	}
	return nil
}

package simdrv_test

import (
	"testing"

	"github.com/weirnet/weir/divertdrv/drvtest"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/divertdrv/simdrv/simtest"
)

// The whole contract on a host with two interfaces, with nothing left out.
func TestDriver(t *testing.T) {
	s := on(simdrv.Config{Interfaces: simtest.Interfaces()})
	s.Docs = "../../docs/drivers.md"
	drvtest.TestDriver(t, s)
}

// The same where nothing is said of interfaces, and injection may name any.
func TestDriverOfAPlainHost(t *testing.T) {
	s := on(simdrv.Config{})
	s.Skips = []string{"inject/inbound-at-an-interface-that-is"}
	drvtest.TestDriver(t, s)
}

// The same where checksums are left to the hardware, and headers must be aligned.
func TestDriverWithOffload(t *testing.T) {
	drvtest.TestDriver(t, on(simdrv.Config{Interfaces: simtest.Interfaces(), Offload: true, HeaderAlign: 8}))
}

func on(c simdrv.Config) drvtest.Setup {
	return drvtest.Setup{New: func(t drvtest.T) *drvtest.World { return simtest.New(t, c) }}
}

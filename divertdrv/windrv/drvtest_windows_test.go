package windrv_test

import (
	"testing"

	"github.com/weirnet/weir/divertdrv/drvtest"
)

// skips are the rules of what WinDivert has not: counters of losses, and other ways of overload.
var skips = []string{"drop-all/is-counted", "forward/drop-all-is-counted", "queue/losses-are-counted-by-cause", "overload/*"}

// The whole contract, through WinDivert's own library and a driver that simdrv answers for.
func TestDriver(t *testing.T) {
	s := need(t)
	drvtest.TestDriver(t, drvtest.Setup{
		New: func(dt drvtest.T) *drvtest.World { return newWorld(dt, s, config()) }, Skips: skips, Docs: "../../docs/drivers.md",
	})
}

package nfqdrv

import (
	"testing"

	"github.com/weirnet/weir/internal/nettest"
)

// Where this driver's tests run, everything that a handle needs is there, and each feature says what its lack would cost.
func TestProbe(t *testing.T) {
	nettest.Need(t, nettest.Root)
	names := map[string]bool{}
	ways := 0
	for _, f := range Probe() {
		if f.Name == "" || f.Cost == "" || f.Remedy == "" || names[f.Name] {
			t.Errorf("%+v says too little, or twice", f)
		}
		names[f.Name] = true
		if f.Need && f.Err != nil {
			t.Errorf("%s: %v", f.Name, f.Err)
		}
		if way(f.Name) && f.Err == nil {
			ways++
		}
	}
	if len(names) < 8 || ways == 0 {
		t.Errorf("%d features, %d ways into a queue: %v", len(names), ways, names)
	}
}

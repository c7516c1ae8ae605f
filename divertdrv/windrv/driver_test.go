package windrv

import (
	"errors"
	"strings"
	"testing"

	"github.com/weirnet/weir/divertdrv"
)

// Where there is no driver opening says so, and names the machine.
func TestMachine(t *testing.T) {
	if err := machine("amd64"); err != nil {
		t.Error(err)
	}
	if err := machine("arm64"); !errors.Is(err, divertdrv.ErrNoDriver) || !strings.Contains(err.Error(), "none for arm64") {
		t.Errorf("arm64: %v", err)
	}
}

// What WinDivert cannot do is refused before anything is loaded, on every system.
func TestSupported(t *testing.T) {
	for _, o := range []divertdrv.Options{{Readers: 2}, {Overload: divertdrv.OverloadOpen}, {Overload: divertdrv.OverloadClosed}} {
		if _, err := New(Config{}).Open(nil, divertdrv.Network, &o); !errors.Is(err, divertdrv.ErrUnsupported) {
			t.Errorf("%+v: %v", o, err)
		}
	}
}

package processor_test

import (
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/filter"
)

// patience bounds every wait of the live tests.
const patience = 5 * time.Second

func match(t testing.TB, text string) *filter.Program {
	t.Helper()
	p, err := filter.Parse(text, divertdrv.Network)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// waitFor polls until ok.
func waitFor(t testing.TB, what string, ok func() bool) (done bool) {
	t.Helper()
	for until := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Errorf("%s: not within %v", what, patience)
			return false
		}
	}
	return true
}

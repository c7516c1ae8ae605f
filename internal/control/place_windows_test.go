package control

import (
	"fmt"
	"os"
	"sync/atomic"
	"testing"
)

var places atomic.Int32

// place is where a test listens.
func place(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf(`\\.\pipe\weir-test-%d-%d`, os.Getpid(), places.Add(1))
}

package livetest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/weirnet/weir/internal/nettest"
)

// dir is where the program is built; it goes with the tests.
var dir string

func TestMain(m *testing.M) {
	var err error
	if dir, err = os.MkdirTemp("", "weir-livetest-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(status int) {
		_ = os.RemoveAll(dir) // a temporary folder
		os.Exit(status)
	}))
}

// build builds the program once.
var build = sync.OnceValues(func() (string, error) {
	path := filepath.Join(dir, "weir")
	out, err := exec.Command("go", "build", "-o", path, "../../cmd/weir").CombinedOutput()
	if err != nil {
		err = fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, err
})

// bench is two namespaces with a cable between them. The program under test runs in the first.
type bench struct {
	t           *testing.T
	here, there *nettest.Link
}

func newBench(t *testing.T, needs ...nettest.Requirement) *bench {
	t.Helper()
	nettest.Need(t, append(needs, nettest.Root)...)
	b := &bench{t: t}
	b.here, b.there = nettest.Pair(t, nettest.NewNamespace(t), nettest.NewNamespace(t))
	return b
}

// sound asserts that neither end threw anything away for its checksum or header.
func (b *bench) sound() {
	b.t.Helper()
	for _, l := range []*nettest.Link{b.here, b.there} {
		if n := l.NS.Counters().BadChecksums(); n != 0 {
			b.t.Errorf("%s: %d packets with a bad checksum or header", l.Name, n)
		}
	}
}

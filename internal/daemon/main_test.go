package daemon_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/filter"
	"github.com/weirnet/weir/internal/daemon"
	"github.com/weirnet/weir/processor/policy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// required skips a test for want of something, which CI has.
func required(t *testing.T, format string, args ...any) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf(format, args...)
	}
	t.Skipf(format, args...)
}

// run runs a plan to its end and asserts the law of conservation.
func run(t *testing.T, plan daemon.Plan) (*daemon.Result, error) {
	t.Helper()
	s, err := daemon.Open(plan, daemon.NoLog())
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.Run(t.Context())
	if law := r.Conserved(); law != nil {
		t.Error(law)
	}
	return r, err
}

// everything is one handle that receives all packets.
func everything(t *testing.T) []policy.Handle {
	t.Helper()
	return []policy.Handle{{Filter: program(t, "true", divertdrv.Network)}}
}

func program(t *testing.T, text string, l divertdrv.Layer) *filter.Program {
	t.Helper()
	p, err := filter.Parse(text, l)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

package mutants

import (
	"testing"

	"go.uber.org/goleak"
)

// Not even a mutant that never answers leaves a call behind.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

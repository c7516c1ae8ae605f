package nettest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"
)

// Requirement says why something cannot be done here, or nil.
type Requirement func() error

// Need skips the test with the reason when a requirement is not met. With CI=true, where all must be there, it fails instead.
func Need(t testing.TB, needs ...Requirement) {
	t.Helper()
	for _, need := range needs {
		if err := need(); err != nil {
			Lacks(t, err)
		}
	}
}

// Lacks skips the test for a reason that it found itself; with CI=true it fails.
func Lacks(t testing.TB, reason error) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("cannot run here, and CI=true says that it must: %v", reason)
	}
	t.Skipf("cannot run here: %v", reason)
}

// Root is needed to make namespaces.
func Root() error {
	if os.Geteuid() != 0 {
		return errors.New("not root")
	}
	return nil
}

// Program needs one in PATH; pkg is Debian's package that has it.
func Program(name, pkg string) Requirement {
	return func() error {
		if _, err := exec.LookPath(name); err != nil {
			return fmt.Errorf("no program %s (Debian: apt-get install %s)", name, pkg)
		}
		return nil
	}
}

// Kernel needs a version.
func Kernel(major, minor int) Requirement {
	return func() error {
		var name unix.Utsname
		if err := unix.Uname(&name); err != nil {
			return err
		}
		release := unix.ByteSliceToString(name.Release[:])
		var a, b int
		if _, err := fmt.Sscanf(release, "%d.%d", &a, &b); err != nil {
			return fmt.Errorf("kernel release %q: %w", release, err)
		}
		if a < major || a == major && b < minor {
			return fmt.Errorf("kernel %s is older than %d.%d", release, major, minor)
		}
		return nil
	}
}

package reinject

import (
	"fmt"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/internal/netns"
)

// inside runs f on a thread in the namespace ns, or where it is for a negative one, and hands f a descriptor of the namespace that
// is valid while f runs.
func inside(ns int, f func(ns int) error) error {
	if ns >= 0 {
		return netns.Do(ns, func() error { return f(ns) })
	}
	here, err := netns.Current()
	if err != nil {
		return fmt.Errorf("this thread's network namespace: %w", err)
	}
	defer unix.Close(here) //nolint:errcheck // of what was only looked at
	return f(here)
}

// identity names a namespace for as long as a descriptor of it is open.
type identity struct{ dev, ino uint64 }

func identify(ns int) (identity, error) {
	var st unix.Stat_t
	if err := unix.Fstat(ns, &st); err != nil {
		return identity{}, fmt.Errorf("identify the network namespace: %w", err)
	}
	return identity{uint64(st.Dev), st.Ino}, nil //nolint:unconvert // Dev has other types on other machines
}

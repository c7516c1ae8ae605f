package nfqdrv

import (
	"sync"

	"github.com/weirnet/weir/divertdrv/nfqdrv/internal/ranks"
)

// shared is what the handles of a driver have together: the registry of ranks, as long as one of them is open.
type shared struct {
	mu       sync.Mutex // guards users, and registry while it comes and goes
	users    int
	registry *ranks.Registry // valid for whoever took it
}

func (s *shared) take() (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users == 0 {
		if s.registry, err = ranks.Open(); err != nil {
			return err
		}
	}
	s.users++
	return nil
}

func (s *shared) give() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users--; s.users > 0 {
		return nil
	}
	return s.registry.Close()
}

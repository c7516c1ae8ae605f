package nfqdrv

import (
	"slices"
	"sync"

	"github.com/weirnet/weir/divertdrv/nfqdrv/internal/ranks"
)

// Driver opens handles on the Linux kernel. Its methods may be called from any goroutine.
type Driver struct {
	config Config
	shared shared
}

// shared is what the handles of a driver have together: the registry of ranks, as long as one of them is open, and what they must
// know of each other.
type shared struct {
	echoes echoes

	mu       sync.Mutex // guards what follows, registry only while it comes and goes
	users    int
	registry *ranks.Registry // valid for whoever took it
	own      uint64          // numbers of openings that this driver took
	conns    []*conn         // those that are open and receive
}

func (s *shared) take() (err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users == 0 {
		if s.registry, err = ranks.Open(); err != nil {
			return err
		}
		s.own = 0
	}
	s.users++
	return nil
}

func (s *shared) give() error {
	last, err := s.leaveRegistry()
	if last {
		s.echoes.clear() // not under the lock: who hears an echo takes both the other way round
	}
	return err
}

func (s *shared) leaveRegistry() (last bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.users--; s.users > 0 {
		return false, nil
	}
	return true, s.registry.Close()
}

// next gives a handle its rank.
func (s *shared) next(priority int16) (ranks.Rank, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.own++
	return s.registry.Next(priority)
}

// foreign is how many handles were opened that are not this driver's.
func (s *shared) foreign() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.registry.Openings() - s.own
}

// enter makes a handle known whose chains are there, and tells those below it.
func (s *shared) enter(c *conn) {
	s.mu.Lock()
	below := slices.Clone(s.conns)
	s.conns = append(s.conns, c)
	s.mu.Unlock()
	for _, o := range below {
		if o.rank < c.rank {
			o.shifted()
		}
	}
}

func (s *shared) leave(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns = slices.DeleteFunc(s.conns, func(o *conn) bool { return o == c })
}

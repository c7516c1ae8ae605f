// Package stack is the in-memory divert engine: the ranks, queues and walks that every driver without a kernel shares.
// simdrv and pcapdrv are thin over it.
//
// The path of a packet, in the order of the files:
//
//  1. It comes from a Source, which an idle Recv pulls (source.go), or by Enter (entrance.go), above every handle; or a
//     handle injects it (inject.go), below its own rank.
//  2. It walks the handles of its layer by falling rank; the first whose filter matches takes it (walk.go).
//  3. It waits in the handle's bounded queue (queue.go), whose memory is one ring of bytes (buffers.go).
//  4. Recv moves it into a batch (recv.go); Complete or Release lets it walk on below that handle (complete.go).
//  5. At the end of its walk the Sink takes it (walk.go).
//
// Events of the layers without packets visit the handles of their layer in the same order (event.go); those of REFLECT are
// the engine's own (reflect.go), those of FLOW and SOCKET come from the driver over it.
//
// One lock guards all of it and is taken once per operation, so once per batch; it is never held while a Recv waits. In the
// steady state nothing allocates. Everything may be called from any goroutine.
//
// A Stack counts nothing that divertdrv.Handle counts; see divertdrv.Conn.
package stack

import (
	"os"
	"sync"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/internal/clock"
)

// Source is where packets come from that are read on demand. A packet of a Source is never shed: pulling waits until the
// queues have room, so every handle must be read (or closed) for the others to go on.
type Source interface {
	// Next returns the next packet, at Network or NetworkForward; both are valid until the next call. io.EOF: no more; any
	// other error ends the source too, and every Recv returns it once nothing is left. It is never called twice at a time.
	Next() (a *divertdrv.Address, data []byte, err error)
}

// Config is what a driver builds its Stack of. It is not changed after New.
type Config struct {
	Name   string // the driver's name, for errors
	Source Source // nil: packets come by Enter only

	// Prompt says that Next never waits for anything but the processor or a disk: it is then called under the lock, and a
	// Recv fills its batch with one lock. Without it the lock is let go for each Next and a Recv returns with the first
	// packet; Shutdown and Close do not interrupt a Next, whoever owns the source must.
	Prompt bool

	// Sink takes what leaves: packets that no handle takes any more. Both arguments are valid during the call only. Calls
	// never overlap and come in order. It may call Enter, of this Stack too, but nothing else of this Stack and of its
	// handles: that would wait for itself. nil: what leaves is gone.
	Sink func(a *divertdrv.Address, data []byte) error

	// Entering is told of each packet that enters, before any handle sees it, with the lock held: it may call Emit and nothing
	// else of the Stack. nil: nobody is told.
	Entering func(a *divertdrv.Address, data []byte)

	Clock clock.Clock // nil: the system's
	// Injecting completes the Address of a packet that a handle injects, or refuses it, with the lock held. nil: all may go in as
	// they are.
	Injecting func(a *divertdrv.Address, data []byte, h *divertdrv.Headers) error

	// MTU is the largest packet that leaves on the way of one that goes out, in bytes; it takes no lock. nil: nobody knows.
	MTU func(a *divertdrv.Address, data []byte) int

	Reassemble bool // inbound fragments that enter are shown to handles with the Fragments flag, the whole packet to the others
	Routes     bool // the Sink may lead packets on from the network to the forward layer

	ProcessID uint32 // of who opens handles, in REFLECT events; 0: this process
	Caps      divertdrv.Caps
}

// How many layers packets walk: network and forward. The others have events.
const walked = int(addr.NetworkForward) + 1

// Stack is one engine. Make it with New.
type Stack struct {
	name     string
	source   Source
	prompt   bool
	sink     func(*divertdrv.Address, []byte) error
	entering func(*divertdrv.Address, []byte) // nil: none
	injects  func(*divertdrv.Address, []byte, *divertdrv.Headers) error
	mtu      func(*divertdrv.Address, []byte) int // nil: nobody knows
	routes   bool
	clock    clock.Clock
	process  uint32
	started  time.Time
	caps     divertdrv.Caps
	entrance entrance // has a lock of its own

	mu      sync.Mutex           // guards all below
	handles [addr.Layers][]*conn // by falling rank
	opened  uint64               // handles ever opened
	idle    int                  // Recvs that wait
	pulling bool                 // a Recv is at the source
	ended   bool                 // no more packets will enter
	end     error                // valid iff ended: what Recv returns then
	closed  bool                 // no more handles either
	sank    bool                 // the Sink was called since the lock was taken
	kept    bool                 // the packet that walks came from the Source
	stats   Stats
	joiner  joiner

	headers wire.Headers // of the packet that walks
	address addr.Address // of the packet that enters or is injected
	hopped  []byte       // room for a copy whose hop limit is lowered
	tick    int64        // valid iff ticked: nanoseconds since started
	ticked  bool         // the clock was read since the lock was taken
}

// New returns an engine without handles; its packets run from Source or Enter straight to the Sink until one is opened.
func New(c Config) *Stack {
	if c.Clock == nil {
		c.Clock = clock.System
	}
	if c.Sink == nil {
		c.Sink = func(*divertdrv.Address, []byte) error { return nil }
	}
	if c.ProcessID == 0 {
		c.ProcessID = uint32(os.Getpid())
	}
	s := &Stack{
		name: c.Name, source: c.Source, prompt: c.Prompt, sink: c.Sink, entering: c.Entering, injects: c.Injecting, mtu: c.MTU, routes: c.Routes, process: c.ProcessID,
		clock: c.Clock, started: c.Clock.Now(), caps: c.Caps, entrance: newEntrance(),
	}
	if c.Reassemble {
		s.joiner.open(s.clock.Now)
	}
	return s
}

// Stats counts the packets of a whole Stack. What entered or was injected is at every moment queued, received and not yet
// judged, dropped, lost, or in one of the counts here.
type Stats struct {
	Entered  uint64 // came from the Source or by Enter
	Left     uint64 // the Sink took them
	Refused  uint64 // the Sink returned an error
	Oversize uint64 // of those that entered: over divertdrv.MTUMax, so no handle was asked
	Turned   uint64 // refused by Enter, not counted as entered

	Fragments uint64 // of inbound packets, at the end of their walk: they wait for the rest, were joined or dropped
	Wholes    uint64 // made of them, and walking
}

// Stats returns a snapshot.
func (s *Stack) Stats() Stats {
	s.lock()
	defer s.unlock()
	total := s.stats
	total.Turned += s.entrance.turned.Load()
	return total
}

// End says that no more packets will enter: Enter refuses, the Source is not asked again, and each Recv returns ErrShutdown
// when nothing can reach its handle any more. A Source at its end implies it. Repeating it is harmless.
func (s *Stack) End() {
	s.lock()
	defer s.unlock()
	s.finish(divertdrv.ErrShutdown)
}

// finish ends entering; why is what every Recv returns in the end.
func (s *Stack) finish(why error) {
	if !s.ended {
		s.ended, s.end = true, why
	}
}

// Close ends entering and closes every handle: unread packets go on their way, blocked Recvs return ErrClosed, and Open is
// refused. Repeating it is harmless.
func (s *Stack) Close() {
	s.lock()
	defer s.unlock()
	s.finish(divertdrv.ErrShutdown)
	s.closed = true
	for l := range s.handles {
		for len(s.handles[l]) > 0 {
			s.handles[l][0].close()
		}
	}
}

func (s *Stack) lock() {
	s.mu.Lock()
	s.ticked = false
}

// unlock first lets in what the Sink sent, and wakes those that may have something to do now.
func (s *Stack) unlock() {
	s.admit()
	if s.idle > 0 && (s.ended || s.canPull()) {
		s.wakeAll()
	}
	s.mu.Unlock()
}

func (s *Stack) wakeAll() {
	for _, list := range s.handles {
		for _, c := range list {
			if c.waiting > 0 {
				c.wake.Broadcast()
			}
		}
	}
}

// now is the time since the Stack was made, in nanoseconds, read once per lock.
func (s *Stack) now() int64 {
	if !s.ticked {
		s.tick, s.ticked = int64(s.elapsed()), true
	}
	return s.tick
}

func (s *Stack) elapsed() time.Duration {
	if s.clock == clock.System {
		return time.Since(s.started) // reads one clock where Now reads two
	}
	return s.clock.Now().Sub(s.started)
}

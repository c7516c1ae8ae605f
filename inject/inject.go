package inject

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/wire"
)

// What Inject may return, besides what the driver says.
var (
	// ErrInlineTCPInjection: use Classification.Defer.
	ErrInlineTCPInjection = errors.New("inline TCP injection: queue it with Defer (TCP locks are held during classify)")
	// ErrClosing: the injector is being closed and takes nothing new.
	ErrClosing = errors.New("injector is closing")
	// ErrPending: Close gave up waiting.
	ErrPending = errors.New("injections are still pending")
)

// Path says where in the stack a packet goes in.
type Path uint8

// The paths of WFP's injection functions (FwpsInjectNetworkSendAsync0, …ReceiveAsync0, FwpsInjectForwardAsync0).
const (
	Send    Path = iota // down, out of this host
	Receive             // up, into this host
	Forward             // through this host
)

// String returns "send", "receive" or "forward".
func (p Path) String() string { return [...]string{"send", "receive", "forward"}[min(p, Forward)] }

// Injection is one packet to put in. Done is called exactly once, unless Inject returned an error; it may run before Inject
// returns and must not block.
type Injection struct {
	Packet *divertdrv.Packet // a free packet, which Inject takes over: what it holds afterwards is not defined
	Path   Path
	IfIdx  uint32 // Receive and Forward: the interface; 0: as the packet's Address says
	Done   func(err error)
}

// Config of an injector. The zero value is a good one.
type Config struct {
	Buffers int // buffers kept for misaligned packets, each MTUMax bytes; 0: 4
}

// Stats counts injections and what was done for them: Injected = Completed + Failed + Pending.
type Stats struct {
	Injected, Completed, Failed, Pending uint64

	Refused   uint64 // inline TCP injections, not among Injected
	Realigned uint64 // packets that were moved to an aligned address
}

// Injector puts packets in through one handle. Its methods may be called from any goroutine.
type Injector struct {
	h       *divertdrv.Handle
	buffers buffers

	refused, realigned atomic.Uint64

	mu    sync.Mutex // guards all below
	idle  sync.Cond  // signalled when Pending falls to 0
	stats Stats
	ended bool
}

// New returns an injector over h, which stays the caller's to close.
func New(h *divertdrv.Handle, cfg Config) (*Injector, error) {
	if h == nil {
		return nil, errors.New("inject.New: no handle")
	}
	if cfg.Buffers < 0 {
		return nil, fmt.Errorf("inject.New: %d buffers, want 0 or more", cfg.Buffers)
	}
	if cfg.Buffers == 0 {
		cfg.Buffers = 4
	}
	j := &Injector{h: h, buffers: newBuffers(cfg.Buffers)}
	j.idle.L = &j.mu
	return j, nil
}

// Inject puts one packet in, repaired and aligned. With an open scope of a transport layer or above it refuses TCP:
// ErrInlineTCPInjection. A nil scope is out of band. It blocks as long as the driver takes; an error means that the packet did
// not go in and that Done is not called.
func (j *Injector) Inject(s *Scope, in Injection) error {
	if in.Packet == nil || in.Packet.Addr == nil {
		return fmt.Errorf("inject: %w: a packet with an Address is needed", divertdrv.ErrInvalid)
	}
	if s.refusesTCP() && in.Packet.Headers().Proto == wire.ProtoTCP {
		j.refused.Add(1)
		return ErrInlineTCPInjection
	}
	if !j.enter() {
		return ErrClosing
	}
	in.address()
	err := j.send(in.Packet)
	j.leave(err)
	if err == nil && in.Done != nil {
		in.Done(nil)
	}
	return err
}

// address makes the packet's Address say what the path means.
func (in *Injection) address() {
	a, h := in.Packet.Addr, in.Packet.Headers()
	layer := divertdrv.Network
	if in.Path == Forward {
		layer = divertdrv.NetworkForward
	}
	a.SetLayer(layer, 0)
	a.SetOutbound(in.Path != Receive)
	a.SetIPv6(h.Version == 6)
	if in.Path == Receive {
		a.SetIPChecksum(false) // nothing says whether it is stale, so it is computed
	}
	if in.IfIdx != 0 {
		a.SetInterface(in.IfIdx, 0)
	}
}

func (j *Injector) send(p *divertdrv.Packet) error {
	data := p.Data
	defer func() { p.Data = data }() // the buffer below is another packet's next
	if p.Addr.Outbound() && !aligned(p.Data) {
		buf := j.buffers.take(len(p.Data))
		defer j.buffers.give(buf)
		p.Move(buf)
		j.realigned.Add(1)
	}
	_, err := j.h.Inject(unsafe.Slice(p, 1))
	return err
}

func (j *Injector) enter() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.ended {
		return false
	}
	j.stats.Injected++
	j.stats.Pending++
	return true
}

func (j *Injector) leave(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.stats.Pending--
	if err == nil {
		j.stats.Completed++
	} else {
		j.stats.Failed++
	}
	if j.stats.Pending == 0 {
		j.idle.Broadcast()
	}
}

// Stats returns a snapshot.
func (j *Injector) Stats() Stats {
	j.mu.Lock()
	s := j.stats
	j.mu.Unlock()
	s.Refused, s.Realigned = j.refused.Load(), j.realigned.Load()
	return s
}

// Close refuses new injections and waits for pending ones, as long as deadline: then ErrPending. Repeating it is harmless.
func (j *Injector) Close(deadline time.Duration) error {
	timer := time.AfterFunc(deadline, func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.idle.Broadcast()
	})
	defer timer.Stop()
	end := time.Now().Add(deadline)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.ended = true
	for j.stats.Pending > 0 {
		if !time.Now().Before(end) {
			return fmt.Errorf("%w: %d after %v", ErrPending, j.stats.Pending, deadline)
		}
		j.idle.Wait()
	}
	return nil
}

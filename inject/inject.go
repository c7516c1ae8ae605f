package inject

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/inject/craft"
	"github.com/weirnet/weir/internal/clock"
)

// The errors of an injection besides those of package divertdrv.
var (
	// ErrInlineTCPInjection: use Classification.Defer.
	ErrInlineTCPInjection = errors.New("inline TCP injection is refused")
	// ErrStaleChecksum and ErrMisalignedHeader are the sentinels of violations that are repaired or only reported.
	ErrStaleChecksum    = errors.New("stale IPv4 header checksum on receive injection")
	ErrMisalignedHeader = errors.New("IP header is not pointer-aligned for send injection")
	// ErrLoop: the packet came back LoopMax times already; another program brings it back each time.
	ErrLoop = errors.New("the packet goes round in a loop with another program that re-injects it")
	// ErrClosing: the injector is being closed and takes nothing new.
	ErrClosing = errors.New("injector is closing")
	// ErrPending: Close gave up waiting.
	ErrPending = errors.New("injections are still pending")
)

// Path is the path that a packet is put in on.
type Path uint8

// The paths.
const (
	Send    Path = iota // down, out of this host
	Receive             // up, into this host
	Forward             // through this host
)

// String returns "send", "receive" or "forward".
func (p Path) String() string { return [...]string{"send", "receive", "forward"}[min(p, Forward)] }

// Injection is one packet to put in. Done is called exactly once, unless Inject returned an error. In Go memory is not given back
// by hand, so Done is for counting and for what must happen after.
type Injection struct {
	Packet *divertdrv.Packet // a free packet, which Inject takes over: what it holds afterwards is not defined
	Path   Path
	IfIdx  uint32 // Receive and Forward: the interface; 0: as the packet's Address says
	Done   func(err error)
}

// Config of an Injector. The zero value is good.
type Config struct {
	Buffers int // buffers kept for misaligned packets, each MTUMax bytes; 0: 4

	Rules       Rules           // the zero value enforces all
	OnViolation func(Violation) // called by whoever injects, with no lock held; must not block. nil: nobody is told
	Guard       *Guard          // finds TCP that is injected from a classification by a back door; nil: nobody looks

	TooBig  TooBig         // what becomes of a packet that grew past the MTU
	Limiter *craft.Limiter // of the answers that TooBig asks for; nil: one with the default rate

	Origins *Origins   // shared by injectors that are to know each other's packets; nil: its own
	Loops   Setting    // of a packet that comes back LoopMax times: Enforce breaks the loop, Report only tells, Off does neither
	OnLoop  func(Loop) // called when a loop is found, and when LoopMax is reached; must not block. nil: nobody is told

	Clock clock.Clock // nil: the system's
}

// Stats counts injections. Injected = Completed + Failed + Pending.
type Stats struct {
	Injected, Completed, Failed, Pending uint64

	Refused   uint64 // inline TCP injections, not among Injected
	Realigned uint64 // packets that were moved to an aligned address

	StaleChecksums, InlineTCP, Misaligned uint64 // violations of each rule, whether enforced or reported

	Returned    uint64 // passes of packets that this injector had put in shortly before; see LoopMax
	LoopsBroken uint64 // of these, those that were not put in again

	Cut, Clamped, Answered uint64 // packets that grew past the MTU, by what was done
}

// Injector puts packets in through one handle. Inject and Stats may be called from any goroutine, Complete by whoever owns the
// batch.
type Injector struct {
	h       *divertdrv.Handle
	buffers buffers
	watch   watch
	guard   *Guard
	trim    trimmer
	origins *Origins
	loops   Setting
	onLoop  func(Loop)
	clock   clock.Clock

	refused, realigned, returned, broken atomic.Uint64

	mu    sync.Mutex // guards all below
	idle  sync.Cond  // signalled when Pending falls to 0
	stats Stats
	ended bool
}

// New returns an injector over h, which stays the caller's to close, after the injector.
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
	if cfg.Origins == nil {
		cfg.Origins = NewOrigins()
	}
	if cfg.Clock == nil {
		cfg.Clock = clock.System
	}
	j := &Injector{
		h: h, buffers: newBuffers(cfg.Buffers), watch: watch{rules: cfg.Rules, tell: cfg.OnViolation}, guard: cfg.Guard,
		origins: cfg.Origins, loops: cfg.Loops, onLoop: cfg.OnLoop, clock: cfg.Clock,
	}
	j.idle.L = &j.mu
	j.trim.init(&cfg)
	return j, nil
}

// Inject puts a packet in. A scope that is open at a transport layer or above refuses TCP: a *Violation over
// ErrInlineTCPInjection; a nil scope is out of band. Other errors are those of Handle.Inject, ErrTooBig for what is longer than
// MTUMax, ErrLoop and ErrClosing. On success the packet was accepted by the driver, and Done, if any, was called before Inject
// returns.
func (j *Injector) Inject(s *Scope, in Injection) error {
	if in.Packet == nil || in.Packet.Addr == nil {
		return fmt.Errorf("inject: %w: a packet with an Address is needed", divertdrv.ErrInvalid)
	}
	if n := len(in.Packet.Data); n > divertdrv.MTUMax {
		return fmt.Errorf("inject: %w: %d bytes, no packet is longer than %d", divertdrv.ErrTooBig, n, divertdrv.MTUMax)
	}
	unlock, err := j.inline(s, &in)
	if err != nil {
		j.refused.Add(1)
		return err
	}
	return j.put(func() error {
		defer unlock() // before Done, which may inject into the same flow
		return j.inject(s, &in)
	}, unlock, in.Done)
}

func (j *Injector) inject(s *Scope, in *Injection) error {
	in.address()
	if in.Path == Receive {
		j.repairSum(s, in.Packet)
	}
	pass := j.pass(in.Packet, true)
	if pass.broken {
		return ErrLoop
	}
	err := j.fitAndSend(s, in)
	if err != nil {
		j.undo(pass)
	}
	return err
}

func (j *Injector) fitAndSend(s *Scope, in *Injection) error {
	if mtu := j.overgrown(in.Packet); mtu > 0 {
		if sent, err := j.fit(in.Packet, mtu); sent || err != nil {
			return err
		}
	}
	return j.send(s, in)
}

// address makes the packet's Address say what the injection says.
func (in *Injection) address() {
	a, h := in.Packet.Addr, in.Packet.Headers()
	layer := divertdrv.Network
	if in.Path == Forward {
		layer = divertdrv.NetworkForward
	}
	a.SetLayer(layer, 0)
	a.SetOutbound(in.Path != Receive)
	a.SetIPv6(h.Version == 6)
	if in.IfIdx != 0 {
		a.SetInterface(in.IfIdx, 0)
	}
}

func (j *Injector) send(s *Scope, in *Injection) error {
	p := in.Packet
	data := p.Data
	defer func() { p.Data = data }() // the buffer below is another packet's next
	if p.Addr.Outbound() && !aligned(p.Data) && j.watch.looks(Misaligned) {
		if j.watch.breached(Misaligned) {
			j.watch.report(s, &Violation{
				Rule: Misaligned, Path: in.Path, cause: ErrMisalignedHeader,
				Detail: fmt.Sprintf("IP header at an address that is %d more than a multiple of %d, on %v injection", offset(p.Data), pointerSize, in.Path),
				Remedy: "start the packet at an aligned address; a misaligned one costs a copy",
			})
		}
		if j.watch.enforces(Misaligned) {
			buf := j.buffers.take(len(p.Data))
			defer j.buffers.give(buf)
			p.Move(buf)
			j.realigned.Add(1)
		}
	}
	_, err := j.h.Inject(unsafe.Slice(p, 1))
	return err
}

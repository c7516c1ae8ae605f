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
	// ErrLoop: the packet was put in LoopMax times already; another program brings it back each time.
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
	OnLoop  func(Loop) // called when a packet comes back first, and when its loop is broken; must not block. nil: nobody is told

	Clock clock.Clock // nil: the system's
}

// Stats counts injections. Injected = Completed + Failed + Pending.
type Stats struct {
	Injected, Completed, Failed, Pending uint64

	Refused   uint64 // inline TCP injections, not among Injected
	Realigned uint64 // packets that were moved to an aligned address

	StaleChecksums, InlineTCP, Misaligned uint64 // violations of each rule, whether enforced or reported

	Returned    uint64 // passes of packets that this injector had put in before, and somebody else brought back
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
		origins: cfg.Origins, onLoop: cfg.OnLoop, clock: cfg.Clock,
	}
	j.idle.L = &j.mu
	j.trim.init(&cfg)
	return j, nil
}

// Inject puts a packet in. A scope that is open at a transport layer or above refuses TCP: a *Violation over
// ErrInlineTCPInjection; a nil scope is out of band. Other errors are those of Handle.Inject, ErrLoop and ErrClosing. On success
// the packet was accepted by the driver, and Done, if any, was called before Inject returns.
func (j *Injector) Inject(s *Scope, in Injection) error {
	if in.Packet == nil || in.Packet.Addr == nil {
		return fmt.Errorf("inject: %w: a packet with an Address is needed", divertdrv.ErrInvalid)
	}
	unlock, err := j.inline(s, &in)
	if err != nil {
		j.refused.Add(1)
		return err
	}
	defer unlock()
	err = j.put(func() error { return j.inject(s, &in) })
	if err == nil && in.Done != nil {
		in.Done(nil)
	}
	return err
}

// put counts an injection.
func (j *Injector) put(inject func() error) error {
	if !j.enter() {
		return ErrClosing
	}
	err := tooBig(inject())
	j.leave(err)
	return err
}

func (j *Injector) inject(s *Scope, in *Injection) error {
	in.address()
	if in.Path == Receive {
		j.repairSum(s, in.Packet)
	}
	if j.loops(in.Packet, j.clock.Now(), true) {
		return ErrLoop
	}
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

// repairSum has the IPv4 header checksum computed anew, whatever the Address claims: what was reassembled carries a stale one,
// and nothing marks it.
func (j *Injector) repairSum(s *Scope, p *divertdrv.Packet) {
	if !j.watch.looks(StaleChecksum) {
		return
	}
	if p.Addr.IPChecksum() && !p.Changed() {
		if had, want := headerSum(p); had != want && j.watch.breached(StaleChecksum) {
			j.watch.report(s, &Violation{
				Rule: StaleChecksum, Path: Receive, cause: ErrStaleChecksum,
				Detail: fmt.Sprintf("IPv4 header checksum %#04x, want %#04x, on receive injection", had, want),
				Remedy: "clear the Address's IPChecksum, or compute it: a reassembled packet carries a stale one",
			})
		}
	}
	if j.watch.enforces(StaleChecksum) {
		p.Addr.SetIPChecksum(false)
	}
}

// headerSum returns the IPv4 header checksum that a packet has and the right one; two equal ones for what has none.
func headerSum(p *divertdrv.Packet) (had, want uint16) {
	h := *p.Headers()
	h.Transport = wire.NoTransport // it is not asked about
	if h.Version != 4 || wire.Judge(p.Data, &h).IP == 0 {
		return 0, 0
	}
	header := append([]byte(nil), p.Data[:h.HeaderLen]...)
	wire.CalcParsed(header, &h, 0)
	return h.IPv4(p.Data).Checksum(), h.IPv4(header).Checksum()
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
	s.Returned, s.LoopsBroken = j.returned.Load(), j.broken.Load()
	s.StaleChecksums, s.InlineTCP, s.Misaligned = j.watch.count[StaleChecksum].Load(), j.watch.count[InlineTCP].Load(), j.watch.count[Misaligned].Load()
	s.Cut, s.Clamped, s.Answered = j.trim.cut.Load(), j.trim.clamped.Load(), j.trim.answered.Load()
	return s
}

// Close refuses further injections and waits until all pending ones completed, or for the deadline: ErrPending.
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

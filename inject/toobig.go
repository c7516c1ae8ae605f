package inject

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/frag"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/inject/craft"
	"github.com/weirnet/weir/internal/clock"
)

// TooBig says what becomes of a packet that goes out and has grown past the MTU of its way. It is judged before the driver is
// asked, where the driver knows MTUs (Handle.MTU); a packet that came that long, a super-packet of segmentation offload, has not
// grown.
type TooBig uint8

// The remedies. Fragment is the zero value.
const (
	// Fragment cuts it: TCP into segments, the rest into fragments, as far as DF and IPv6 allow; what may not be cut is dropped
	// by TooBig, or is an ErrTooBig. A received packet that goes on in pieces counts as dropped by Fragmented, its pieces as
	// injected.
	Fragment TooBig = iota
	// Clamp takes the end off a TCP segment, which its sender will send again. Everything else is dropped, or is an ErrTooBig.
	Clamp
	// Answer drops it and tells its sender the MTU by ICMP, at most so often as Config.Limiter allows. An injected packet has no
	// sender but the caller: it is an ErrTooBig.
	Answer
)

// String returns "fragment", "clamp" or "answer".
func (t TooBig) String() string { return [...]string{"fragment", "clamp", "answer"}[min(t, Answer)] }

// trimmer does what TooBig says.
type trimmer struct {
	remedy  TooBig
	limiter *craft.Limiter
	id      atomic.Uint32 // of the last packet that was cut

	mu     sync.Mutex // guards the cutter, for as long as it cuts
	cutter frag.Cutter

	cut, clamped, answered atomic.Uint64
}

func (t *trimmer) init(cfg *Config) {
	t.remedy, t.limiter = cfg.TooBig, cfg.Limiter
	if t.limiter == nil {
		t.limiter = craft.NewLimiter(0, 0)
	}
	t.id.Store(rand.Uint32())
}

// overgrown returns the MTU that a packet on its way out is longer than; 0: it is not, or nobody knows. Loopback has room for all.
func (j *Injector) overgrown(p *divertdrv.Packet) int {
	if !p.Addr.Outbound() || p.Addr.Loopback() {
		return 0
	}
	if mtu := j.h.MTU(p); mtu > 0 && len(p.Data) > mtu {
		return mtu
	}
	return 0
}

// fit makes an injected packet fit or says why it cannot; sent: it went out in pieces.
func (j *Injector) fit(p *divertdrv.Packet, mtu int) (sent bool, err error) {
	switch j.trim.remedy {
	case Clamp:
		return false, j.clamp(p, mtu)
	case Answer:
		return false, &frag.TooBigError{Len: len(p.Data), MTU: mtu}
	default:
		return true, j.pieces(p, mtu)
	}
}

// tooBig wraps an error of package frag in the driver's sentinel, which is what callers know.
func tooBig(err error) error {
	if errors.Is(err, frag.ErrTooBig) || errors.Is(err, frag.ErrNoRoom) {
		return errors.Join(divertdrv.ErrTooBig, err)
	}
	return err
}

// clamp shortens a TCP segment to the MTU. What is cut off is not acknowledged, so it comes again.
func (j *Injector) clamp(p *divertdrv.Packet, mtu int) error {
	h := p.Headers()
	room := mtu - int(h.PayloadOff)
	if h.Transport != wire.TCP || h.Fragment || room <= 0 {
		return &frag.TooBigError{Len: len(p.Data), MTU: mtu}
	}
	tcp := h.TCP(p.Edit())
	tcp.SetFlags(tcp.Flags() &^ (wire.FIN | wire.PSH)) // they belong to the last byte
	if err := p.Resize(mtu); err != nil {
		return err
	}
	j.trim.clamped.Add(1)
	return nil
}

// pieces sends a packet in pieces, each an injection of its own.
func (j *Injector) pieces(p *divertdrv.Packet, mtu int) error {
	p.Settle()
	t := &j.trim
	t.mu.Lock()
	defer t.mu.Unlock()
	limit := limitOf(p, mtu)
	limit.ID = t.id.Add(1)
	was := wire.Judge(p.Data, p.Headers())
	err := t.cutter.Cut(p.Data, p.Headers(), limit, func(piece []byte) error {
		if len(piece) == len(p.Data) {
			return &frag.TooBigError{Len: len(piece), MTU: mtu}
		}
		a := *p.Addr
		a.SetChecksums(true)
		one := divertdrv.NewPacket(a, piece)
		if was != (wire.Wrong{}) { // segments of what was corrupt are so too
			wire.Recompute(piece, one.Headers(), wire.AllSums, was)
		}
		if j.pass(one, true).broken {
			return ErrLoop
		}
		_, err := j.h.Inject(unsafe.Slice(one, 1))
		return err
	})
	if err == nil {
		t.cut.Add(1)
	}
	return err
}

// answer tells the sender of a received packet the MTU: up into this host, or back along the way of a forwarded packet.
func (j *Injector) answer(p *divertdrv.Packet, mtu int) {
	if !j.trim.limiter.Allow(clock.Steady(j.clock.Now())) {
		return
	}
	told, err := craft.TooBig(p.Data, p.Headers(), netip.Addr{}, mtu)
	if err != nil {
		return // one must not be told
	}
	if j.Inject(nil, AnswerTo(p, told, ToSender)) == nil {
		j.trim.answered.Add(1)
	}
}

// shrink does with a packet of a batch, which passes and has grown past mtu, what the remedy says; later: it is to go out in
// pieces once the batch is completed.
func (j *Injector) shrink(p *divertdrv.Packet, mtu int) (later bool) {
	switch j.trim.remedy {
	case Clamp:
		if j.clamp(p, mtu) == nil {
			return false
		}
	case Answer:
		j.answer(p, mtu)
	default:
		if cuttable(p, mtu) {
			return true
		}
	}
	p.Set(divertdrv.Drop, reason.TooBig)
	return false
}

func cuttable(p *divertdrv.Packet, mtu int) bool {
	return frag.Fit(p.Data, p.Headers(), limitOf(p, mtu)) != frag.TooBig
}

// limitOf is what the packet has to fit. A forwarded one is not ours to fragment as its sender could.
func limitOf(p *divertdrv.Packet, mtu int) frag.Limit {
	return frag.Limit{MTU: mtu, Sender: p.Addr.Layer() == divertdrv.Network}
}

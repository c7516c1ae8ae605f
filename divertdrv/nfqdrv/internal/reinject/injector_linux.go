package reinject

import (
	"errors"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/divertdrv"
)

// Config says for whom packets are injected.
type Config struct {
	Layer     divertdrv.Layer // Network, or NetworkForward: then every packet goes in on the forward path
	Inbound   bool            // inbound injection is wanted too; NetworkForward always needs it
	Source    [6]byte         // a secret unicast Ethernet address, locally administered, by which inbound injections are known
	Namespace int             // a descriptor of the network namespace, needed during Open only; negative: the calling thread's
}

// Stats counts since Open.
type Stats struct {
	Filtered uint64 // of the packets that went in, dropped by a rule of the host or a lower handle at OUTPUT at once
	Busy     uint64 // refused with ErrBusy
}

// way is how a packet gets in.
type way uint8

const (
	byRaw4 way = iota
	byRaw6
	byFrame
	ways
)

// Injector puts in the packets of one handle. Its methods may be called from any goroutine; packets go in one call after another.
type Injector struct {
	forward bool
	inbound *inbound // nil without Config.Inbound

	mu     sync.Mutex // guards all below
	closed bool
	bursts [ways]burst
	stats  Stats
}

// Open makes the sockets and, for inbound injection, the inlet, which all injectors of the process in one namespace share. It
// needs CAP_NET_RAW; for inbound CAP_NET_ADMIN and CAP_BPF too (ErrAccess), and veth and eBPF in the kernel.
func Open(cfg Config) (in *Injector, err error) {
	err = inside(cfg.Namespace, func(ns int) error {
		in, err = open(cfg, ns)
		return err
	})
	return in, err
}

// open is called on a thread in the namespace.
func open(cfg Config, ns int) (*Injector, error) {
	in := &Injector{forward: cfg.Layer == divertdrv.NetworkForward}
	for w := range in.bursts {
		in.bursts[w].way, in.bursts[w].fd = way(w), -1
	}
	err := in.openRaw()
	if err == nil && (cfg.Inbound || in.forward) {
		in.inbound, err = openInbound(cfg.Source, ns, in.forward)
		if err == nil {
			in.bursts[byFrame].fd = in.inbound.fd
		}
	}
	if err != nil {
		_ = in.Close()
		return nil, err
	}
	return in, nil
}

func (in *Injector) openRaw() (err error) {
	if in.forward {
		return nil
	}
	if in.bursts[byRaw4].fd, err = rawSocket(unix.AF_INET); err != nil {
		return err
	}
	in.bursts[byRaw6].fd, err = rawSocket(unix.AF_INET6)
	if errors.Is(err, unix.EAFNOSUPPORT) { // IPv6 is off: its packets are refused one by one
		return nil
	}
	return err
}

// Sockets are the descriptors of the raw sockets, by whose SO_COOKIE outbound injections are known at OUTPUT.
func (in *Injector) Sockets() (fds []int) {
	for w := byRaw4; w <= byRaw6; w++ {
		if fd := in.bursts[w].fd; fd >= 0 {
			fds = append(fds, fd)
		}
	}
	return fds
}

// Inject puts packets in, in order, until one is refused: n went in, and err says why the next did not. By its Address a packet
// goes out, in on an interface, or forward. It must be a whole IP packet (ErrMalformed) and complete: lengths and checksums are
// sent as they are. An Impostor loses a hop first (ErrHopLimit). Packets are not changed, and not kept after the call.
// Other errors are ErrTooBig, ErrUnreachable, ErrInvalid, ErrUnsupported, ErrClosed and ErrBusy. It never waits.
func (in *Injector) Inject(p []divertdrv.Packet) (n int, err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed {
		return 0, divertdrv.ErrClosed
	}
	if in.inbound != nil {
		in.inbound.refresh()
	}
	for n < len(p) && err == nil {
		var k int
		k, err = in.injectSome(p[n:])
		n += k
	}
	if errors.Is(err, ErrBusy) {
		in.stats.Busy++
	}
	return n, err
}

// injectSome sends the packets at the front of p that go the same way, up to one burst.
func (in *Injector) injectSome(p []divertdrv.Packet) (n int, err error) {
	var b *burst
	for i := range p {
		var w way
		if w, err = in.wayOf(&p[i]); err != nil {
			break
		}
		if b == nil {
			b = &in.bursts[w]
		}
		if w != b.way || b.n == b.room() {
			break
		}
		if err = in.fill(b, &p[i]); err != nil {
			break
		}
	}
	if b == nil {
		return 0, err
	}
	n, failed := b.flush()
	if failed != nil {
		return n, failed
	}
	return n, err
}

func (in *Injector) fill(b *burst, p *divertdrv.Packet) error {
	switch b.way {
	case byRaw4:
		return fillRaw4(b, p)
	case byRaw6:
		return fillRaw6(b, p)
	default:
		return in.inbound.fill(b, p)
	}
}

// wayOf checks a packet's form and says how it gets in.
func (in *Injector) wayOf(p *divertdrv.Packet) (way, error) {
	h := p.Headers()
	switch {
	case p.Addr == nil:
		return 0, errNoAddress
	case len(p.Data) > divertdrv.MTUMax:
		return 0, divertdrv.ErrTooBig
	case h.Version == 0 || int(h.Total) != len(p.Data):
		return 0, divertdrv.ErrMalformed
	case in.forward || !p.Addr.Outbound():
		if in.inbound == nil {
			return 0, errNoInbound
		}
		return byFrame, nil
	case h.Version == 4:
		return byRaw4, nil
	case in.bursts[byRaw6].fd < 0:
		return 0, errNoIPv6
	}
	return byRaw6, nil
}

// Stats returns the counters.
func (in *Injector) Stats() Stats {
	in.mu.Lock()
	defer in.mu.Unlock()
	s := in.stats
	for w := range in.bursts {
		s.Filtered += in.bursts[w].filtered
	}
	return s
}

// Close closes the sockets; the last injector of the namespace removes the inlet. Closing twice is no error.
func (in *Injector) Close() error {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed {
		return nil
	}
	in.closed = true
	var errs []error
	for w := byRaw4; w <= byRaw6; w++ {
		if fd := in.bursts[w].fd; fd >= 0 {
			errs = append(errs, unix.Close(fd))
		}
	}
	if in.inbound != nil {
		errs = append(errs, in.inbound.close())
	}
	return errors.Join(errs...)
}

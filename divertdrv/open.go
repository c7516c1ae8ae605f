package divertdrv

import (
	"errors"
	"fmt"

	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/filter"
	"github.com/weirnet/weir/internal/clock"
)

// Options of a handle; nil means the zero value.
type Options struct {
	Driver   Driver // nil: the platform's own, linked by importing divertdrv/native
	Priority int16  // -30000..30000; higher sees packets first
	Flags    Flags
	Readers  int // 0 or 1: order of the whole handle is kept; more only where the driver hashes flows to queues
	Overload Overload

	// CutThrough: flows may be judged, see Handle.Judge. It adds a little work to each packet. A driver that cannot, or not with
	// the other options, refuses to open: ErrUnsupported.
	CutThrough bool
}

// Open compiles filter (the language of WinDivert 2.2, see package filter) and opens a handle at layer. The error is a
// *filter.Error that shows the place in the text, or an *OpError over ErrNoDriver, ErrInvalid, ErrUnsupported, ErrAccess or
// what the driver says.
func Open(filterText string, layer Layer, opts *Options) (*Handle, error) {
	prog, err := filter.Parse(filterText, layer)
	if err != nil {
		return nil, err
	}
	return OpenProgram(prog, opts)
}

// OpenProgram is Open for a filter that is compiled already; its layer is the handle's.
func OpenProgram(prog *Filter, opts *Options) (*Handle, error) {
	if opts == nil {
		opts = &Options{}
	}
	h := &Handle{layer: prog.Layer(), filter: prog, opts: *opts}
	h.opts.Readers = max(h.opts.Readers, 1)
	h.noneHeld.L = &h.mu
	if h.opts.Driver == nil {
		h.opts.Driver = native()
	}
	if h.opts.Driver == nil {
		return nil, h.opError("open", fmt.Errorf(
			"%w for this platform is linked: import divertdrv/native, or name one in Options.Driver (simdrv.New, pcapdrv.Open)", ErrNoDriver))
	}
	h.driver = h.opts.Driver.Name()
	if err := h.opts.check(h.layer); err != nil {
		return nil, h.opError("open", err)
	}
	conn, err := h.opts.Driver.Open(prog, h.layer, &h.opts)
	if err != nil {
		return nil, h.opError("open", err)
	}
	h.conn, h.caps = conn, conn.Caps()
	if h.opts.CutThrough && !h.caps.CutThrough {
		err := fmt.Errorf("%w: CutThrough: flows cannot be left to the kernel here; open without it", ErrUnsupported)
		return nil, h.opError("open", errors.Join(err, conn.Close()))
	}
	h.clock = clock.System
	if c, ok := as[interface{ Clock() clock.Clock }](conn); ok {
		h.clock = c.Clock()
	}
	return h, nil
}

// mandatory are the flags without which a layer cannot be opened (WinDivert: windivert.html, section 5.1).
func mandatory(l Layer) Flags {
	switch l {
	case LayerFlow, LayerReflect:
		return Sniff | RecvOnly
	case LayerSocket:
		return RecvOnly
	default:
		return 0
	}
}

// check refuses what WinDivert refuses with error 87.
func (o *Options) check(layer Layer) error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%w: "+format, append([]any{ErrInvalid}, args...)...))
	}
	if layer >= addr.Layers {
		bad("no layer %d", layer)
	}
	if o.Priority < addr.PriorityLowest || o.Priority > addr.PriorityHighest {
		bad("priority %d, want %d to %d", o.Priority, addr.PriorityLowest, addr.PriorityHighest)
	}
	if unknown := o.Flags &^ addr.AllFlags; unknown != 0 {
		bad("unknown flags %v", unknown)
	}
	for _, pair := range []Flags{Sniff | DropAll, RecvOnly | SendOnly} {
		if o.Flags&pair == pair {
			bad("flags %v exclude each other", pair)
		}
	}
	if lack := mandatory(layer) &^ o.Flags; lack != 0 {
		bad("layer %v needs the flags %v", layer, lack)
	}
	return errors.Join(errs...)
}

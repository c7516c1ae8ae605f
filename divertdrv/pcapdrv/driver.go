package pcapdrv

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/internal/stack"
)

// Name is what the driver is called in errors and policies.
const Name = "pcap"

// holdMax is how many packets one handle may hold.
const holdMax = 4096

// Driver reads one capture once; handles share its packets. Its methods may be called from any goroutine.
type Driver struct {
	engine *stack.Stack
	source source
	writer *Writer  // nil: none
	in     *os.File // nil: the caller's
	out    *os.File // nil: the caller's, or none
	size   int64    // of the capture; 0: not a file on disk

	packets, bytes, frames atomic.Uint64 // written

	closing  sync.Once
	closeErr error
}

// Open opens the capture, reads its header, and only then makes the output. It blocks while a pipe has given nothing. The error
// is a *ReadError for what is no capture, an *os.PathError, or wraps divertdrv.ErrInvalid.
func Open(o Options) (*Driver, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	d := &Driver{}
	err := d.openIn(o)
	if err == nil {
		err = d.openOut(o)
	}
	if err != nil {
		_ = d.closeFiles() // nothing was written
		return nil, err
	}
	d.source.locals.prefixes = o.Local
	d.source.write = d.passBy
	d.engine = stack.New(stack.Config{
		Name:   Name,
		Source: &d.source,
		Prompt: d.size > 0, // a file on disk does not keep a Read waiting
		Sink:   d.sink,
		Caps: divertdrv.Caps{
			Inject: true, InjectInbound: true, Modify: true, Grow: true, GSO: true, Fragments: true,
			LossCounted: true, HoldMax: holdMax,
		},
	})
	return d, nil
}

func (d *Driver) openIn(o Options) (err error) {
	r, name := o.Reader, "capture"
	if r == nil {
		f, err := os.Open(o.In)
		if err != nil {
			return err
		}
		d.in, r = f, f
	}
	if f, ok := r.(*os.File); ok {
		name = f.Name()
		info, err := f.Stat()
		switch {
		case err != nil:
			return err
		case info.Mode().IsRegular():
			d.size = info.Size()
		}
		if out, err := os.Stat(o.Out); err == nil && os.SameFile(info, out) {
			return fmt.Errorf("pcap: %w: %s is the capture that is read; write to another file", divertdrv.ErrInvalid, o.Out)
		}
	}
	d.source.reader, err = NewReader(r, name)
	return err
}

func (d *Driver) openOut(o Options) (err error) {
	w := o.Writer
	if o.Out != "" {
		f, err := os.Create(o.Out)
		if err != nil {
			return err
		}
		d.out, w = f, f
	}
	if w == nil {
		return nil
	}
	d.writer, err = NewWriter(w)
	return err
}

// Name returns "pcap".
func (d *Driver) Name() string { return Name }

// Open opens a handle; it is called by divertdrv.Open. The layer must be network or reflect: a capture says nothing of what was
// forwarded.
// Fragments arrive as they were captured, whether the handle has the Fragments flag or not.
func (d *Driver) Open(f *divertdrv.Filter, l divertdrv.Layer, o *divertdrv.Options) (divertdrv.Conn, error) {
	if l != divertdrv.Network && l != divertdrv.LayerReflect {
		return nil, fmt.Errorf("%w: layer %v; a capture has the layers network and reflect only", divertdrv.ErrUnsupported, l)
	}
	c, err := d.engine.Open(f, l, o)
	if err != nil {
		return nil, err
	}
	return conn{c, d}, nil
}

// Stats returns a snapshot.
func (d *Driver) Stats() Stats {
	src := &d.source
	st := Stats{
		Packets: src.packets.Load(), Bytes: src.bytes.Load(), Truncated: src.truncated.Load(),
		PacketsWritten: d.packets.Load(), BytesWritten: d.bytes.Load(), FramesWritten: d.frames.Load(),
	}
	src.mu.Lock()
	st.Bystanders = src.kinds.sorted()
	src.mu.Unlock()
	st.Frames = st.Packets + st.Skipped()
	st.Read, st.Size = d.Progress()
	return st
}

// Progress returns how many bytes of the capture file were read, and how many it has: 0 where that is not known.
func (d *Driver) Progress() (read, size int64) { return d.source.reader.BytesRead(), d.size }

// Stop ends reading before the capture does: packets that were read go on their way, then each Recv returns ErrShutdown. It
// interrupts a Read of a pipe that the driver opened; one of Options.Reader ends when it ends. Repeating it is harmless.
func (d *Driver) Stop() {
	d.source.end(io.EOF)
	if d.in != nil && d.size == 0 {
		_ = d.in.Close()
	}
}

// Close closes the handles that are still open (unread packets go on their way to the output), writes what was gathered, and
// closes the files. The error says what could not be written. Repeating it returns the first result. It waits for a Read of a
// file on disk, not for one of a pipe.
func (d *Driver) Close() error {
	d.closing.Do(func() {
		d.source.end(divertdrv.ErrClosed)
		d.engine.Close()
		var err error
		if d.writer != nil {
			err = d.writer.end(divertdrv.ErrClosed)
		}
		d.closeErr = errors.Join(err, d.closeFiles())
	})
	return d.closeErr
}

// closeFiles returns the error of the output only: nothing can be lost of the input.
func (d *Driver) closeFiles() error {
	if d.in != nil {
		_ = d.in.Close()
	}
	if d.out == nil {
		return nil
	}
	return d.out.Close()
}

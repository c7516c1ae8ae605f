package daemon

import (
	"errors"
	"io"
	"os"
	"sync/atomic"

	"github.com/weirnet/weir/divertdrv/pcapdrv"
)

// captured is the backend that reads a capture.
type captured struct {
	*pcapdrv.Driver
	pipe        *io.PipeWriter // nil: the capture is a file
	interrupted atomic.Bool    // the pipe was ended by us, perhaps in the middle of a frame
}

func openCapture(d *Driver) (*captured, error) {
	c := &captured{}
	o := pcapdrv.Options{In: d.In, Out: d.Out, Local: d.Local}
	if d.In == "-" {
		o.In, o.Reader = "", d.Stdin
		if f, ok := d.Stdin.(*os.File); !ok || !regular(f) {
			o.Reader, c.pipe = pump(d.Stdin)
		}
	}
	var err error
	if c.Driver, err = pcapdrv.Open(o); err != nil {
		c.interrupt()
		return nil, err
	}
	return c, nil
}

func regular(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode().IsRegular()
}

// pump puts a pipe between in and its reader, which so can be told that there is no more: a Read of a terminal or a pipe cannot.
// The goroutine ends with in, or when it has something for a pipe that was ended.
func pump(in io.Reader) (*io.PipeReader, *io.PipeWriter) {
	r, w := io.Pipe()
	go func() {
		_, err := io.Copy(w, in)
		_ = w.CloseWithError(err)
	}()
	return r, w
}

func (c *captured) progress() Progress {
	done, total := c.Progress()
	return Progress{Done: done, Total: total, Bytes: true}
}

// interrupt ends a wait for input: of standard input by the pipe in front of it, of a named pipe by the driver.
func (c *captured) interrupt() {
	switch {
	case c.pipe != nil:
		c.interrupted.Store(true)
		_ = c.pipe.Close()
	case c.Driver != nil:
		c.Stop()
	}
}

// forgive drops the error that comes of having ended the pipe in the middle of a frame.
func (c *captured) forgive(err error) error {
	if c.interrupted.Load() && errors.Is(err, pcapdrv.ErrTruncated) {
		return nil
	}
	return err
}

func (c *captured) capture() *pcapdrv.Stats {
	s := c.Stats()
	return &s
}

func (c *captured) close() error {
	c.interrupt()
	return c.Close()
}

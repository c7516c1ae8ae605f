package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/weirnet/weir/divertdrv"
)

// Watch is an open look at packets: its handle gets copies, and the packets themselves go on at once.
type Watch struct {
	driver backend
	handle *divertdrv.Handle
	out    *output // nil: nothing is recorded

	broken context.Context // ends when the output breaks, with the cause
	fail   context.CancelCauseFunc
	stats  divertdrv.Stats // valid after Run
}

// OpenWatch opens the driver and a handle that sees what f takes. d.Out records what is seen, not what leaves the driver. count
// is how many packets to see, 0 is all. An error leaves nothing open.
func OpenWatch(d Driver, f *divertdrv.Filter, count uint64) (*Watch, error) {
	w := &Watch{}
	w.broken, w.fail = context.WithCancelCause(context.Background())
	if err := w.open(d, f, count); err != nil {
		return nil, errors.Join(err, w.Close())
	}
	return w, nil
}

func (w *Watch) open(d Driver, f *divertdrv.Filter, count uint64) error {
	out := d.Out
	d.Out = ""
	driver, err := openBackend(&d, w.fail)
	if err != nil {
		return err
	}
	w.driver = driver
	m := &meter{}
	if count > 0 {
		m.quota = &quota{handles: 1, left: count}
	}
	w.handle, err = divertdrv.OpenProgram(f, &divertdrv.Options{Driver: measured{driver, m}, Flags: divertdrv.Sniff | divertdrv.RecvOnly})
	if err != nil || out == "" {
		return err
	}
	if same(d.In, out) {
		return fmt.Errorf("%w: %s is the capture that is read; write to another file", divertdrv.ErrInvalid, out)
	}
	w.out, err = createOutput(out, w.fail)
	return err
}

// same says whether two paths name one file.
func same(a, b string) bool {
	x, noX := os.Stat(a)
	y, noY := os.Stat(b)
	return noX == nil && noY == nil && os.SameFile(x, y)
}

// Driver is the driver's name.
func (w *Watch) Driver() string { return w.driver.Name() }

// Run calls do with the packets that came, in order, until they end, ctx does, the count is reached, or do returns an error. When
// ctx ends it still shows what was seen before. Packets are valid during the call only. It may be called once.
func (w *Watch) Run(ctx context.Context, do func(p []divertdrv.Packet) error) error {
	end := func() {
		_ = w.handle.Shutdown(divertdrv.ShutdownRecv) // Recv tells
		w.driver.interrupt()
	}
	defer context.AfterFunc(ctx, end)()
	defer context.AfterFunc(w.broken, end)()
	err := w.read(do)
	w.stats = w.handle.Stats() // before Close counts copies that nobody wanted any more as lost
	return errors.Join(w.driver.forgive(err), context.Cause(w.broken))
}

func (w *Watch) read(do func(p []divertdrv.Packet) error) error {
	b := divertdrv.NewBatch(64, 2*divertdrv.MTUMax)
	for {
		if err := w.handle.Recv(b); errors.Is(err, divertdrv.ErrShutdown) {
			return nil
		} else if err != nil {
			return err
		}
		if w.out != nil {
			for i := range b.Packets() {
				p := &b.Packets()[i]
				w.out.write(p.Addr, p.Data, max(len(p.Data), int(p.Headers().Total)))
			}
		}
		if err := errors.Join(do(b.Packets()), w.handle.Complete(b)); err != nil {
			return err
		}
	}
}

// Seen is how many packets Run showed, how many of them it recorded, and how many the driver lost before.
func (w *Watch) Seen() (received, written, lost uint64) {
	return w.stats.Received, w.out.written(), w.stats.Lost
}

// Close ends the handle and the driver, and writes what was recorded.
func (w *Watch) Close() error {
	var errs []error
	if w.handle != nil {
		errs = append(errs, w.handle.Close())
	}
	if w.driver != nil {
		errs = append(errs, w.driver.close())
	}
	errs = append(errs, w.out.close())
	w.fail(nil)
	return errors.Join(errs...)
}

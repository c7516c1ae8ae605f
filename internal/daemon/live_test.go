package daemon

import (
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/divertdrv/simdrv"
)

// What a live driver lets go on is written: passed, released and injected packets, and none that were dropped or are copies.
func TestLiveWrites(t *testing.T) {
	const packets = 400
	var broken error
	out, err := createOutput(filepath.Join(t.TempDir(), "out.pcapng"), func(err error) { broken = err })
	if err != nil {
		t.Fatal(err)
	}
	v := &live{received: new(atomic.Int64), Driver: simdrv.New(simdrv.Config{Source: simdrv.NewTraffic(1, packets)}), out: out}
	open := func(flags divertdrv.Flags, priority int16) *divertdrv.Handle {
		h, err := divertdrv.Open("true", divertdrv.Network, &divertdrv.Options{Driver: v, Flags: flags, Priority: priority})
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	copies, h := open(divertdrv.Sniff, 5), open(0, 0)
	want := passEach(t, h, func(i int, b *divertdrv.Batch) bool {
		switch p := &b.Packets()[i]; i % 4 {
		case 0:
			return false // dropped: the zero mark
		case 1:
			held, err := b.Hold(i, 0, divertdrv.Drop)
			if err == nil {
				err = held.Release(divertdrv.Pass, 0)
			}
			if err != nil {
				t.Error(err)
			}
		case 2:
			clone := p.Clone()
			if _, err := h.Inject([]divertdrv.Packet{*clone}); err != nil {
				t.Error(err)
			}
			p.Set(divertdrv.Drop, reason.Filter)
		default:
			p.Set(divertdrv.Pass, 0)
		}
		return true
	})
	passEach(t, copies, func(i int, b *divertdrv.Batch) bool {
		b.Packets()[i].Set(divertdrv.Pass, 0)
		return true
	})
	st := h.Stats()
	if err := errors.Join(st.Conserved(), h.Close(), copies.Close(), v.close(), broken); err != nil {
		t.Error(err)
	}
	if n := out.written(); n != want || n < packets/2 || v.progress().Done != 2*packets {
		t.Errorf("%d written, want %d; progress %+v", n, want, v.progress())
	}
}

// passEach reads a handle to the end of its packets and counts those of which do says so.
func passEach(t *testing.T, h *divertdrv.Handle, do func(i int, b *divertdrv.Batch) bool) (n uint64) {
	t.Helper()
	for b := divertdrv.NewBatch(64, 1<<20); ; {
		err := h.Recv(b)
		if errors.Is(err, divertdrv.ErrShutdown) {
			return n
		}
		if err != nil {
			t.Fatal(err)
		}
		for i := range b.Packets() {
			if do(i, b) {
				n++
			}
		}
		if err := h.Complete(b); err != nil {
			t.Fatal(err)
		}
	}
}

// refused is a driver that the system lets do nothing.
type refused struct{ divertdrv.Driver }

func (refused) Name() string { return "refused" }

func (refused) Open(*divertdrv.Filter, divertdrv.Layer, *divertdrv.Options) (divertdrv.Conn, error) {
	return nil, fmt.Errorf("%w: no", divertdrv.ErrAccess)
}

func TestLiveSaysWhatToDo(t *testing.T) {
	_, err := divertdrv.Open("true", divertdrv.Network, &divertdrv.Options{Driver: &live{Driver: refused{}}})
	if want := "refused open at layer network: " + divertdrv.ErrAccess.Error() + ": no; run as root, or see what lacks with: weir doctor"; err == nil ||
		err.Error() != want || !errors.Is(err, divertdrv.ErrAccess) {
		t.Errorf("%v, want %s", err, want)
	}
}

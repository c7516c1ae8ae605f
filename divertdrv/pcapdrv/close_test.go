package pcapdrv_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/pcapdrv"
	"github.com/weirnet/weir/divertdrv/reason"
)

// A disk that is full ends the run with that reason; what was not written is counted as not sent, and Close says it again.
func TestDiskFull(t *testing.T) {
	big := ipv4(hostA, hostB, 17, make([]byte, 1400))
	file := pcapBytes(orders["little"], microMagic, 101, slices.Repeat([]rec{{1, 2, big, 0}}, 2000)...)
	d, err := pcapdrv.Open(pcapdrv.Options{Reader: bytes.NewReader(file), Writer: &full{room: 300_000}})
	if err != nil {
		t.Fatal(err)
	}
	h := handle(t, d, "true", 0)
	end := run(t, h, func(p *divertdrv.Packet) { p.Set(divertdrv.Pass, 0) })
	s, ds := h.Stats(), d.Stats()
	if !errors.Is(end, errFull) || s.Dropped[reason.SendFailed] == 0 || ds.Packets == 2000 || s.Passed != ds.PacketsWritten {
		t.Errorf("%v; %+v; %+v", end, s, ds)
	}
	if err := d.Close(); !errors.Is(err, errFull) || !errors.Is(d.Close(), errFull) {
		t.Errorf("close: %v", err)
	}
}

// With little output only Close can tell.
func TestDiskFullAtClose(t *testing.T) {
	d, err := pcapdrv.Open(pcapdrv.Options{Reader: bytes.NewReader(mixed()), Writer: &full{room: 10}})
	if err != nil {
		t.Fatal(err)
	}
	receiveAll(t, d)
	if err := d.Close(); !errors.Is(err, errFull) {
		t.Errorf("close: %v", err)
	}
}

// Close with open handles lets their packets go on, and afterwards everything says that it is closed.
func TestCloseWithOpenHandles(t *testing.T) {
	var out bytes.Buffer
	d := open(t, pcapdrv.Options{Reader: bytes.NewReader(mixed()), Writer: &out})
	h := handle(t, d, "true", 0)
	b := divertdrv.NewBatch(8, 1<<16)
	if err := h.Recv(b); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	for i := range b.Packets() {
		b.Packets()[i].Set(divertdrv.Pass, 0)
	}
	complete, recv := h.Complete(b), h.Recv(b)
	_, inject := h.Inject([]divertdrv.Packet{*divertdrv.NewPacket(divertdrv.Address{}, bytes.Clone(packetAB))})
	_, again := divertdrv.Open("true", divertdrv.Network, &divertdrv.Options{Driver: d})
	for _, err := range []error{complete, recv, inject, again} {
		if !errors.Is(err, divertdrv.ErrClosed) {
			t.Errorf("got %v, want ErrClosed", err)
		}
	}
	s := h.Stats()
	if err := s.Conserved(); err != nil || s.Dropped[reason.Abandoned] == 0 {
		t.Errorf("%v; %+v", err, s)
	}
	if _, err := readAll(out.Bytes()); err != nil {
		t.Error(err)
	}
}

// waiting returns a handle whose Recv waits for a pipe that has given one packet, and what that Recv will return.
func waiting(t *testing.T) (d *pcapdrv.Driver, h *divertdrv.Handle, ended <-chan error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "pipe")
	if err := makePipe(path); err != nil {
		t.Skip(err)
	}
	feeding := make(chan *os.File, 1)
	go func() {
		w, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(pcapBytes(orders["little"], microMagic, 101, rec{1, 2, packetAB, 0}))
		feeding <- w
	}()
	d = open(t, pcapdrv.Options{In: path})
	t.Cleanup(func() { _ = (<-feeding).Close() })
	h = handle(t, d, "true", 0)
	b := divertdrv.NewBatch(8, 1<<16)
	if err := h.Recv(b); err != nil || b.Len() != 1 {
		t.Fatal(err)
	}
	b.Packets()[0].Set(divertdrv.Pass, 0)
	if err := h.Complete(b); err != nil {
		t.Fatal(err)
	}
	end := make(chan error, 1)
	go func() { end <- h.Recv(b) }()
	return d, h, end
}

// A Recv that waits for a pipe which the driver opened is interrupted by Close and by Stop.
func TestPipeIsInterrupted(t *testing.T) {
	t.Run("close", func(t *testing.T) {
		d, _, ended := waiting(t)
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, divertdrv.ErrClosed) {
			t.Errorf("got %v, want ErrClosed", err)
		}
	})
	t.Run("stop", func(t *testing.T) {
		d, h, ended := waiting(t)
		d.Stop()
		if err := <-ended; !errors.Is(err, divertdrv.ErrShutdown) {
			t.Errorf("got %v, want ErrShutdown", err)
		}
		if s := h.Stats(); s.Passed != 1 || s.Conserved() != nil || h.Close() != nil {
			t.Errorf("%+v", s)
		}
	})
}

// Stop ends a run early and loses nothing of what was read.
func TestStop(t *testing.T) {
	var out bytes.Buffer
	file, _ := endless(true, 100_000)
	d := open(t, pcapdrv.Options{Reader: file, Writer: &out})
	n := 0
	end := run(t, handle(t, d, "true", 0), func(p *divertdrv.Packet) {
		if n++; n == 100 {
			d.Stop()
		}
		p.Set(divertdrv.Pass, 0)
	})
	s := d.Stats()
	if !errors.Is(end, divertdrv.ErrShutdown) || s.Packets < 100 || s.Packets > 200 || s.PacketsWritten != s.Packets {
		t.Errorf("%v; %+v", end, s)
	}
}

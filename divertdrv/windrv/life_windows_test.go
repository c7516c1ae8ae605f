package windrv_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"slices"
	"testing"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/drvtest"
	"github.com/weirnet/weir/divertdrv/windrv"
)

const longVariable = "WEIR_LONG"

// opened opens a handle for everything, which the end of the test closes.
func opened(t *testing.T, w *drvtest.World, o divertdrv.Options) *divertdrv.Handle {
	t.Helper()
	o.Driver = w.Driver
	h, err := divertdrv.Open("true", divertdrv.Network, &o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

func free(n int) *divertdrv.Packet {
	var a divertdrv.Address
	a.SetOutbound(true)
	a.SetChecksums(true)
	return divertdrv.NewPacket(a, datagram(uint32(n), passPort))
}

func send(t *testing.T, w *drvtest.World, numbers ...int) {
	t.Helper()
	for _, n := range numbers {
		if err := w.Network.Send(drvtest.Outbound, datagram(uint32(n), passPort)); err != nil {
			t.Fatal(err)
		}
	}
}

// left checks which packets came out since it was last asked, and that they are whole.
func left(t *testing.T, w *drvtest.World, want ...int) {
	t.Helper()
	var got []int
	for _, a := range w.Network.Left() {
		n := binary.BigEndian.Uint32(a.Data[numberOff:])
		got = append(got, int(n))
		if !bytes.Equal(a.Data, datagram(n, passPort)) {
			t.Errorf("packet %d was changed: %x", n, a.Data)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("packets %v left, want %v", got, want)
	}
}

var processHandleCount = windows.NewLazySystemDLL("kernel32.dll").NewProc("GetProcessHandleCount")

func handles(t *testing.T) (n uint32) {
	t.Helper()
	if r, _, err := processHandleCount.Call(uintptr(windows.CurrentProcess()), uintptr(unsafe.Pointer(&n))); r == 0 {
		t.Fatal(err)
	}
	return n
}

// Opening, reading and closing costs no handle: 1,000 times in the long form.
func TestHandlesDoNotLeak(t *testing.T) {
	s := need(t)
	w := newWorld(t, s, config())
	times := 100
	if os.Getenv(longVariable) != "" {
		times = 1000
	}
	cycle := func() {
		h, err := divertdrv.Open("true", divertdrv.Network, &divertdrv.Options{Driver: w.Driver})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error)
		go func() { done <- h.Recv(divertdrv.NewBatch(8, 1<<16)) }()
		err = h.Close()
		if got := <-done; err != nil || got == nil {
			t.Fatalf("Close: %v, Recv: %v", err, got)
		}
	}
	for range 20 { // threads and what else is made once
		cycle()
	}
	before := handles(t)
	for range times {
		cycle()
	}
	if after := handles(t); after > before+20 {
		t.Errorf("%d handles after %d times, %d before", after, times, before)
	}
}

// Without the library there is a sentence about it, each time, and no panic; then the right one still loads.
func TestNoLibrary(t *testing.T) {
	need(t)
	for _, c := range []struct {
		dll  string
		want error
	}{
		{`WinDivert.dll`, divertdrv.ErrInvalid},
		{`C:\weir\Other.dll`, divertdrv.ErrInvalid},
	} {
		for range 2 {
			_, err := divertdrv.Open("true", divertdrv.Network, &divertdrv.Options{Driver: windrv.New(windrv.Config{DLL: c.dll})})
			if !errors.Is(err, c.want) {
				t.Errorf("%s: %v, want %v", c.dll, err, c.want)
			}
		}
	}
}

// With no-install nothing is installed: asked before anything else in this process, on a Wine that was just started, it says that
// there is no driver. Once it is loaded the same handle opens.
func TestNoInstall(t *testing.T) {
	s := need(t)
	if !errors.Is(atStart, divertdrv.ErrNoDriver) || !errors.Is(atStart, windrv.Errno(1060)) {
		t.Errorf("with no-install, and no driver: %v", atStart)
	}
	w := newWorld(t, s, config())
	opened(t, w, divertdrv.Options{})
	opened(t, w, divertdrv.Options{Flags: divertdrv.NoInstall})
}

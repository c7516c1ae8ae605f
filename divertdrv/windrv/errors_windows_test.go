package windrv_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/divertdrv/windrv"
	"github.com/weirnet/weir/divertdrv/windrv/internal/standin"
)

// isErrno checks that an error is a number of Windows and the sentinel that it means.
func isErrno(t *testing.T, what string, err error, number windrv.Errno, sentinel error) {
	t.Helper()
	var got windrv.Errno
	if !errors.Is(err, sentinel) || !errors.As(err, &got) || got != number {
		t.Errorf("%s: %v; want Windows error %d, which is %v", what, err, number, sentinel)
	}
}

// Every number that opening a handle can give. They come as answers to its first requests, since Wine does not survive a driver that
// refuses to be opened; WinDivert's library hands on both alike.
func TestOpenErrors(t *testing.T) {
	s := need(t)
	w := newWorld(t, s, config())
	open := func() error {
		h, err := divertdrv.Open("true", divertdrv.Network, &divertdrv.Options{Driver: w.Driver})
		if err == nil {
			_ = h.Close()
		}
		return err
	}
	if err := open(); err != nil { // divert-go has asked for the version from here on
		t.Fatal(err)
	}
	for number, sentinel := range map[windrv.Errno]error{
		2: divertdrv.ErrNoDriver, 3: divertdrv.ErrNoDriver, 5: divertdrv.ErrAccess, 8: divertdrv.ErrResources, 31: divertdrv.ErrNoDriver,
		87: divertdrv.ErrInvalid, 110: divertdrv.ErrNoDriver, 577: divertdrv.ErrNoDriver, 654: divertdrv.ErrNoDriver,
		1058: divertdrv.ErrNoDriver, 1060: divertdrv.ErrNoDriver, 1072: divertdrv.ErrNoDriver, 1073: divertdrv.ErrNoDriver,
		1167: divertdrv.ErrNoDriver, 1275: divertdrv.ErrNoDriver, 1450: divertdrv.ErrResources, 1753: divertdrv.ErrNoDriver,
	} {
		for _, op := range []standin.Operation{standin.Initialize, standin.Startup} {
			s.Fail(op, standin.Win32(uint16(number)), 0)
			isErrno(t, fmt.Sprintf("open, request %#x", op), open(), number, sentinel)
		}
	}
	if err := open(); err != nil {
		t.Errorf("after all failures: %v", err)
	}
}

// What a read can fail with. 995 without a Close means nothing, and 122 costs the packet, which is counted.
func TestRecvErrors(t *testing.T) {
	s := need(t)
	w := newWorld(t, s, config())
	h := opened(t, w, divertdrv.Options{})
	b := divertdrv.NewBatch(8, 1<<16)
	for number, sentinel := range map[windrv.Errno]error{
		6: divertdrv.ErrClosed, 22: divertdrv.ErrInvalid, 87: divertdrv.ErrInvalid, 232: divertdrv.ErrShutdown,
		1450: divertdrv.ErrResources, 1167: divertdrv.ErrNoDriver,
	} {
		s.Fail(standin.Recv, standin.Win32(uint16(number)), 0)
		isErrno(t, "recv", h.Recv(b), number, sentinel)
	}
	s.Fail(standin.Recv, standin.Win32(995), 0)
	s.Fail(standin.Recv, standin.Win32(122), 0)
	send(t, w, 1)
	if err := h.Recv(b); err != nil || b.Len() != 1 {
		t.Fatalf("%d packets, %v", b.Len(), err)
	}
	if err := h.Complete(b); err != nil {
		t.Error(err)
	}
	if st := h.Stats(); st.Lost != 1 || st.LostBy[reason.TooBig] != 1 || st.Conserved() != nil {
		t.Errorf("%+v", st)
	}
}

// What a send can fail with, for a packet that is injected.
func TestInjectErrors(t *testing.T) {
	s := need(t)
	w := newWorld(t, s, config())
	h := opened(t, w, divertdrv.Options{})
	for number, sentinel := range map[windrv.Errno]error{
		6: divertdrv.ErrClosed, 87: divertdrv.ErrInvalid, 122: divertdrv.ErrMalformed, 232: divertdrv.ErrShutdown, 592: divertdrv.ErrUnreachable,
		995: divertdrv.ErrClosed, 1214: divertdrv.ErrUnreachable, 1231: divertdrv.ErrUnreachable, 1232: divertdrv.ErrUnreachable,
		1233: divertdrv.ErrUnreachable, 1450: divertdrv.ErrResources,
	} {
		s.Fail(standin.Send, standin.Win32(uint16(number)), 1)
		p := []divertdrv.Packet{*free(1), *free(2), *free(3)}
		n, err := h.Inject(p)
		if n != 1 {
			t.Errorf("%d went in before Windows error %d, want 1", n, number)
		}
		isErrno(t, "inject", err, number, sentinel)
	}
	p := free(1)
	p.Addr.SetImpostor(true)
	p.Data[8] = 1
	s.Fail(standin.Send, standin.HostUnreachable, 0)
	_, err := h.Inject([]divertdrv.Packet{*p})
	isErrno(t, "an impostor's last hop", err, 1232, divertdrv.ErrHopLimit)
	if st := h.Stats(); st.Failed != 12 || st.Completed != 11 || st.Conserved() != nil {
		t.Errorf("%+v", st)
	}
}

// Parameters and shutdown.
func TestAskErrors(t *testing.T) {
	s := need(t)
	w := newWorld(t, s, config())
	h := opened(t, w, divertdrv.Options{})
	s.Fail(standin.GetParam, standin.Win32(22), 0)
	_, err := h.Param(0)
	isErrno(t, "param", err, 22, divertdrv.ErrInvalid)
	s.Fail(standin.SetParam, standin.InvalidParameter, 0)
	isErrno(t, "set param", h.SetParam(0, 64), 87, divertdrv.ErrInvalid)
	s.Fail(standin.Shutdown, standin.InvalidParameter, 0)
	isErrno(t, "shutdown", h.Shutdown(divertdrv.ShutdownBoth), 87, divertdrv.ErrInvalid)
}

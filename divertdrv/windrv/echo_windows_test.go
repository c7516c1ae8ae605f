package windrv_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/drvtest"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/divertdrv/simdrv/simtest"
	"github.com/weirnet/weir/divertdrv/windrv"
	"github.com/weirnet/weir/divertdrv/windrv/internal/standin"
)

// labelled is a driver whose addresses say which packet they belong to.
type labelled struct{ divertdrv.Driver }

type labelledConn struct{ divertdrv.Conn }

func (d labelled) Open(f *divertdrv.Filter, l divertdrv.Layer, o *divertdrv.Options) (divertdrv.Conn, error) {
	c, err := d.Driver.Open(f, l, o)
	return labelledConn{c}, err
}

func (c labelledConn) Recv(b *divertdrv.Batch) error {
	err := c.Conn.Recv(b)
	for i := range b.Packets() {
		label(b.Packets()[i].Addr, binary.BigEndian.Uint32(b.Packets()[i].Data[numberOff:]))
	}
	return err
}

func label(a *divertdrv.Address, n uint32) {
	a.Timestamp = int64(n)*0x1_0000_0001 + 1
	a.SetInterface(n^0x5a5a5a5a, ^n)
}

func labelledWorld(t *testing.T, s *standin.Server, c windrv.Config) *drvtest.World {
	w := simtest.New(t, simdrv.Config{Interfaces: simtest.Interfaces()})
	s.Use(labelled{w.Driver})
	behind(w, s, c)
	return w
}

// Echoes with a number each, while goroutines grow their stacks and the garbage collector runs: not one address is another
// packet's, and not one byte is wrong. A million in the long form.
func TestEchoes(t *testing.T) {
	s := need(t)
	total := 10_000
	if os.Getenv(longVariable) != "" {
		total = 1_000_000
	}
	c := config()
	c.Reads = windrv.ReadsMax
	w := labelledWorld(t, s, c)
	h := opened(t, w, divertdrv.Options{})
	stop := unrest()
	defer stop()
	done := make(chan error, 1)
	go func() { done <- echo(h, total) }()
	const wave = 400
	for first := 0; first < total; first += wave {
		for n := first; n < min(first+wave, total); n++ {
			send(t, w, n)
		}
		gather(t, w, uint32(first), uint32(min(first+wave, total)))
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if st := h.Stats(); st.Passed != uint64(total) || st.Received != uint64(total) || st.Conserved() != nil {
		t.Errorf("%+v", st)
	}
}

// echo passes packets as they come, and looks at each.
func echo(h *divertdrv.Handle, total int) error {
	var want divertdrv.Address
	b := divertdrv.NewBatch(divertdrv.BatchMax, 1<<17)
	for next := uint32(0); next < uint32(total); {
		if err := h.Recv(b); err != nil {
			return err
		}
		for i := range b.Packets() {
			p := &b.Packets()[i]
			if label(&want, next); p.Addr.Timestamp != want.Timestamp || p.Addr.IfIdx() != want.IfIdx() || p.Addr.SubIfIdx() != want.SubIfIdx() ||
				!bytes.Equal(p.Data, datagram(next, passPort)) {
				return fmt.Errorf("packet %d came as %x with %+v", next, p.Data, *p.Addr)
			}
			p.Set(divertdrv.Pass, 0)
			next++
		}
		if err := h.Complete(b); err != nil {
			return err
		}
	}
	return nil
}

// gather waits until the packets from first to before end have left, in their order and whole.
func gather(t *testing.T, w *drvtest.World, first, end uint32) {
	t.Helper()
	for until := time.Now().Add(5 * time.Minute); first < end; {
		for _, a := range w.Network.Left() {
			if !bytes.Equal(a.Data, datagram(first, passPort)) {
				t.Fatalf("packet %d left as %x", first, a.Data)
			}
			first++
		}
		if time.Now().After(until) {
			t.Fatalf("packet %d did not leave", first)
		}
		time.Sleep(100 * time.Microsecond)
	}
}

// unrest has goroutines grow their stacks and throw memory away, until it is told to stop.
func unrest() (stop func()) {
	end := make(chan struct{})
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-end:
					return
				default:
				}
				grown := make(chan byte)
				go func() { grown <- deep(n % 200) }()
				<-grown
				if n%50 == 0 {
					runtime.GC()
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	return func() {
		close(end)
		all.Wait()
	}
}

// deep needs about a kilobyte of stack for each level.
//
//go:noinline
func deep(level int) byte {
	var room [1024]byte
	room[level%len(room)] = byte(level)
	if level == 0 {
		return room[0]
	}
	return deep(level-1) + room[level%len(room)]
}

// stackVariable has the test binary do what divert-go does, in a process of its own.
const stackVariable = "WEIR_STANDIN_STACK"

// The same read with the address on a goroutine's stack, as divert-go has it: the stack moves while the read waits, and the driver
// writes where it was. The process that does so loses the address, or dies of it.
func TestStackBuffersAreUnsafe(t *testing.T) {
	if os.Getenv(stackVariable) != "" {
		readToStack(t)
		return
	}
	s := need(t)
	w := labelledWorld(t, s, config())
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(exe, "-test.run=^TestStackBuffersAreUnsafe$", "-test.v")
	cmd.Env = append(os.Environ(), stackVariable+"=1")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	over := make(chan error, 1)
	go func() { over <- cmd.Wait() }()
	for {
		select {
		case err := <-over:
			if err == nil {
				t.Errorf("an address on a stack that has moved arrived:\n%s", out.Bytes())
			}
			t.Logf("%v: %s", err, firstLine(out.Bytes(), "lost"))
			return
		case <-time.After(20 * time.Millisecond):
			send(t, w, 7) // whenever the read is there
		}
	}
}

func firstLine(b []byte, with string) []byte {
	for line := range bytes.Lines(b) {
		if bytes.Contains(line, []byte(with)) {
			return bytes.TrimSpace(line)
		}
	}
	return bytes.TrimSpace(b[:min(len(b), 200)])
}

// readToStack makes one read as divert-go does, and grows the stack before the packet comes.
func readToStack(t *testing.T) {
	h, err := windrv.OpenRaw(config())
	if err != nil {
		t.Fatal(err)
	}
	lost := make(chan bool)
	go func() { lost <- stackRead(h) }()
	if <-lost {
		t.Fatal("the address is lost: the driver wrote it to where the stack had been")
	}
}

// stackRead starts a read into variables of this goroutine's stack, has the stack moved, and says whether they stayed empty.
//
//go:noinline
func stackRead(h windows.Handle) (lost bool) {
	var addr divertdrv.Address
	var size uint32 = 80
	buffer := make([]byte, divertdrv.MTUMax)
	event, _ := windows.CreateEvent(nil, 1, 0, nil)
	overlapped := &windows.Overlapped{HEvent: event}
	words := &[2]uint64{uint64(uintptr(unsafe.Pointer(&addr))), uint64(uintptr(unsafe.Pointer(&size)))}
	const recv = 0x12<<16 | 1<<14 | 0x923<<2 | 2
	before := uintptr(unsafe.Pointer(&addr))
	err := windows.DeviceIoControl(h, recv, (*byte)(unsafe.Pointer(words)), 16, &buffer[0], uint32(len(buffer)), nil, overlapped)
	deep(2000) // two megabytes: the stack is copied to where there is room
	after := uintptr(unsafe.Pointer(&addr))
	var n uint32
	if err == windows.ERROR_IO_PENDING {
		err = windows.GetOverlappedResult(h, overlapped, &n, true)
	}
	fmt.Printf("address at %#x, then at %#x; read of %d bytes: %v\n", before, after, n, err)
	return addr.Timestamp == 0
}

package queue

import (
	"encoding/binary"
	"errors"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/internal/nettest"
)

// Accept, drop and replace, grown and shrunk, mixed in one Flush and in any order.
func TestVerdicts(t *testing.T) {
	b := newBench(t, Config{})
	sink := b.sink()
	b.divert("OUTPUT")
	const n = 60
	b.send(nettest.Stream{Count: n, Size: 200})
	var packets [n]Packet
	for i := range packets {
		var p Packet
		b.next(&p)
		p.Data = append([]byte(nil), p.Data...)
		packets[i] = p
		if p.Hook != LocalOut || int(p.OutIf) != b.here.Index || p.InIf != 0 || len(p.Data) != 228 || p.Len != 228 {
			t.Fatalf("packet %d: %+v, want 228 bytes at output to interface %d", i, p, b.here.Index)
		}
	}
	for i := n - 1; i >= 0; i-- {
		switch p := &packets[i]; i % 4 {
		case 0:
			must(t, b.v.Accept(p.ID))
		case 1:
			must(t, b.v.Drop(p.ID))
		case 2:
			must(t, b.v.Replace(p.ID, resized(p.Data, 50)))
		case 3:
			must(t, b.v.Replace(p.ID, resized(p.Data, 1001)))
		}
	}
	if b.v.Len() != n {
		t.Errorf("%d verdicts wait, want %d", b.v.Len(), n)
	}
	must(t, b.v.Flush())
	got := sink.Wait(n - n/4)
	if got.Received != n-n/4 || got.Damaged != 0 || got.Duplicates != 0 {
		t.Errorf("arrived: %+v, want %d right ones", got, n-n/4)
	}
	if bad := b.there.NS.Counters().BadChecksums(); bad != 0 {
		t.Errorf("%d packets had bad checksums", bad)
	}
	s, known := b.Stats()
	if !known || s != (Stats{LastID: n}) {
		t.Errorf("%+v, want nothing waiting, nothing lost", s)
	}
}

// resized is a numbered UDP datagram with another payload length, right in all that a sink looks at.
func resized(data []byte, payload int) []byte {
	b := append([]byte(nil), data[:36]...)
	binary.BigEndian.PutUint32(b[32:], uint32(payload))
	number := binary.BigEndian.Uint32(b[28:])
	for i := 8; i < payload; i++ {
		b = append(b, byte(int(number)+i))
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	binary.BigEndian.PutUint16(b[24:], uint16(len(b)-20))
	wire.CalcChecksums(b, 0)
	return b
}

func TestReplaceBounds(t *testing.T) {
	b := newBench(t, Config{})
	if b.v.Replace(1, nil) == nil || b.v.Replace(1, make([]byte, MaxPayload+1)) == nil || b.v.Len() != 0 {
		t.Error("payloads of 0 and of 65,532 bytes were taken")
	}
}

// A number that is bound is passed over, whoever has it.
func TestNumbers(t *testing.T) {
	b := newBench(t, Config{First: 0xffff})
	var other *Queue
	var err error
	b.here.NS.Do(func() { other, err = Open(Config{First: 0xffff}) })
	must(t, err)
	if b.Number() != 0xffff || other.Number() != 0 {
		t.Errorf("numbers %d and %d, want 65535 and 0", b.Number(), other.Number())
	}
	must(t, other.Close(), other.Close())
	if _, err := other.Recv(NoWait); !errors.Is(err, ErrClosed) {
		t.Errorf("Recv after Close: %v, want ErrClosed", err)
	}
	b.here.NS.Do(func() { other, err = Open(Config{First: 0xffff}) })
	must(t, err, other.Close())
	b.here.NS.Do(func() { other, err = Open(Config{First: 0xffff, Avoid: func(n uint16) bool { return n < 3 }}) })
	must(t, err)
	if other.Number() != 3 {
		t.Errorf("number %d, want 3", other.Number())
	}
	must(t, other.Close())
}

func TestPrivilege(t *testing.T) {
	nettest.Need(t, nettest.Root)
	err := stripped(0, func() error {
		_, err := Open(Config{})
		return err
	})
	if !errors.Is(err, ErrPrivilege) {
		t.Errorf("without CAP_NET_ADMIN: %v, want ErrPrivilege", err)
	}
}

// CAP_NET_ADMIN is enough; but the kernel's table is root's, so nothing is known of losses then.
func TestNotRoot(t *testing.T) {
	nettest.Need(t, nettest.Root)
	err := stripped(1<<unix.CAP_NET_ADMIN, func() error {
		q, err := Open(Config{})
		if err != nil {
			return err
		}
		if _, known := q.Stats(); known || q.Counted() {
			t.Error("the kernel's table can be read by anybody")
		}
		return errors.Join(q.Close(), q.Close())
	})
	if err != nil {
		t.Error(err)
	}
}

// stripped runs f on a thread of its own, as nobody with these capabilities.
func stripped(caps uint32, f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		const nobody = 65534
		if err := unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0); err != nil {
			done <- err
			return
		}
		for _, set := range []uintptr{unix.SYS_SETRESGID, unix.SYS_SETRESUID} {
			if _, _, errno := unix.RawSyscall(set, nobody, nobody, nobody); errno != 0 {
				done <- errno
				return
			}
		}
		head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		data := [2]unix.CapUserData{{Effective: caps, Permitted: caps}}
		if err := unix.Capset(&head, &data[0]); err != nil {
			done <- err
			return
		}
		done <- f()
	}()
	return <-done
}

// Wake ends a Recv that blocks, and one that was about to; nothing is left of it.
func TestWake(t *testing.T) {
	b := newBench(t, Config{})
	must(t, b.Wake())
	for range 2 {
		if some, err := b.Recv(Block); !some || err != nil {
			t.Fatalf("Recv: %v, %v", some, err)
		}
		var p Packet
		if b.Next(&p) {
			t.Fatal("a packet out of nothing")
		}
		if some, err := b.Recv(NoWait); some || err != nil {
			t.Fatalf("another message: %v, %v", some, err)
		}
		go func() {
			time.Sleep(20 * time.Millisecond)
			_ = b.Wake()
		}()
	}
	if s, _ := b.Stats(); s.Odd != 0 {
		t.Errorf("%d odd messages", s.Odd)
	}
}

// What the queue has no room for is lost and counted, or goes on undecided.
func TestFull(t *testing.T) {
	for _, open := range []bool{false, true} {
		b := newBench(t, Config{Length: 10, FailOpen: open})
		sink := b.sink()
		b.divert("OUTPUT")
		b.send(nettest.Stream{Count: 25, Size: 64})
		want := Stats{Waiting: 10, LastID: 10}
		if !open {
			want.Full = 15
		}
		b.reaches("full queue", func(s Stats) bool { return s == want })
		var p Packet
		for range 10 {
			b.next(&p)
			must(t, b.v.Accept(p.ID))
		}
		must(t, b.v.Flush())
		passed := 10
		if open {
			passed = 25
		}
		if got := sink.Wait(passed); got.Received != passed {
			t.Errorf("fail-open %v: %+v, want %d", open, got, passed)
		}
	}
}

// A socket without memory loses packets, and the kernel counts them apart.
func TestNoMemory(t *testing.T) {
	b := newBench(t, Config{Memory: 4096})
	b.divert("OUTPUT")
	b.send(nettest.Stream{Count: 200, Size: 64})
	b.reaches("socket without memory", func(s Stats) bool { return s.NoMemory > 0 && s.Waiting+s.NoMemory == 200 })
	must(t, b.Wake()) // is heard although there is no memory for the answer
	if some, err := b.Recv(Block); !some || err != nil {
		t.Errorf("Recv: %v, %v", some, err)
	}
}

// A verdict for what the kernel does not have is counted by its kind.
func TestLate(t *testing.T) {
	b := newBench(t, Config{})
	must(t, b.v.Accept(5), b.v.Replace(6, []byte{0x45}), b.v.Drop(7), b.v.Flush())
	var p Packet
	for some := true; some; {
		some, _ = b.Recv(NoWait)
		if b.Next(&p) {
			t.Fatal("a packet out of nothing")
		}
	}
	if s, _ := b.Stats(); s != (Stats{LateAccepts: 2, LateDrops: 1}) {
		t.Errorf("%+v, want 2 late accepts and 1 late drop", s)
	}
}

// More than one Flush can carry is sent in several.
func TestManyVerdicts(t *testing.T) {
	b := newBench(t, Config{})
	sink := b.sink()
	b.divert("OUTPUT")
	const n = 700
	for first := range n / 70 { // a sender's memory is used up soon while its packets wait
		b.send(nettest.Stream{Count: 70, First: uint32(first * 70), Size: 1000})
	}
	var p Packet
	for range n {
		b.next(&p)
		data := append([]byte(nil), p.Data...)
		if p.Facts&ChecksumOwed == 0 {
			t.Fatal("the checksum of a local datagram is not owed")
		}
		wire.CalcChecksums(data, 0) // what is replaced must be final
		must(t, b.v.Replace(p.ID, data))
	}
	must(t, b.v.Flush())
	if got := sink.Wait(n); got.Received != n || got.Damaged != 0 || got.Reordered != 0 {
		t.Errorf("%+v, want %d in order", got, n)
	}
}

// The law of the hot path: nothing is allocated for a packet.
func TestAllocs(t *testing.T) {
	b := newBench(t, Config{Batch: 8})
	sink := b.sink()
	b.divert("OUTPUT")
	const runs, burst = 50, 8
	total := 0
	var p Packet
	for first := range 4 {
		b.send(nettest.Stream{Count: (runs + 1) * burst / 4, First: uint32(first * (runs + 1) * burst / 4), Size: 64})
	}
	allocs := testing.AllocsPerRun(runs, func() {
		for i := range burst {
			b.next(&p)
			if i%2 == 0 {
				_ = b.v.Accept(p.ID)
			} else {
				wire.CalcChecksums(p.Data, 0)
				_ = b.v.Replace(p.ID, p.Data)
			}
			total++
			if !b.Pending() {
				_ = b.v.Flush()
			}
		}
	})
	must(t, b.v.Flush())
	if allocs != 0 {
		t.Errorf("%v allocations for %d packets, want 0", allocs, burst)
	}
	if got := sink.Wait(total); got.Received != total {
		t.Errorf("%+v, want %d", got, total)
	}
}

func TestFindRow(t *testing.T) {
	table := []byte("    7  12345     3 2 65531     4     5       18  1\n40000 -99999     0 2 65531     0     0        0  1\n" +
		"40001  99999     6 2 65531     7     8        9  1\n")
	if f, ok := findRow(table, 7); !ok || f[columnWaiting] != 3 || f[columnFull] != 4 || f[columnNoMemory] != 5 {
		t.Errorf("%v, %v", f, ok)
	}
	if f, ok := findRow(table, 40001); !ok || f[columnWaiting] != 6 {
		t.Errorf("the row behind: %v, %v", f, ok)
	}
	if _, ok := findRow(table, 8); ok {
		t.Error("found what is not there")
	}
}

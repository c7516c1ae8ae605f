package ranks

import (
	"bufio"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/internal/nettest"
)

func open(t testing.TB) *Registry {
	t.Helper()
	nettest.Need(t, nettest.Root)
	r, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func next(t testing.TB, r *Registry, priority int16) Rank {
	t.Helper()
	rank, err := r.Next(priority)
	if err != nil {
		t.Fatal(err)
	}
	return rank
}

// load makes a program that answers 100, or 0 when the prologue skips.
func load(t testing.TB, r *Registry, key asm.Instructions, own Rank) *ebpf.Program {
	t.Helper()
	ins := append(r.Prologue(key, own, "skip"),
		asm.LoadMem(asm.R0, asm.R1, 0, asm.Word), // the context must be in R1 again
		asm.Mov.Imm(asm.R0, 100),
		asm.Return(),
		asm.Mov.Imm(asm.R0, 0).WithSymbol("skip"),
		asm.Return(),
	)
	p, err := ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.SocketFilter, Instructions: ins, License: "Apache-2.0"})
	if err != nil {
		t.Fatalf("%+v", err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// socketpair's second socket gets what the program lets pass; there the packet's socket is the receiver itself.
func socketpair(t testing.TB) (send, recv int) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fds[0]); unix.Close(fds[1]) })
	return fds[0], fds[1]
}

func passes(t testing.TB, send, recv int, p *ebpf.Program) bool {
	t.Helper()
	if err := unix.SetsockoptInt(recv, unix.SOL_SOCKET, unix.SO_ATTACH_BPF, p.FD()); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Write(send, []byte("packet")); err != nil && err != unix.EPERM { // the filter's no
		t.Fatal(err)
	}
	_, err := unix.Read(recv, make([]byte, 10))
	if err != nil && err != unix.EAGAIN {
		t.Fatal(err)
	}
	return err == nil
}

func TestOutboundPrologue(t *testing.T) {
	r := open(t)
	low, mid, old, young := next(t, r, -5), next(t, r, 0), next(t, r, 0), next(t, r, 0)
	send, recv := socketpair(t)
	if !passes(t, send, recv, load(t, r, SocketKey(), mid)) {
		t.Fatal("a packet that nobody injected was skipped")
	}
	cookie, err := unix.GetsockoptUint64(recv, unix.SOL_SOCKET, unix.SO_COOKIE)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Add(cookie, old); err != nil {
		t.Fatal(err)
	}
	for _, own := range []Rank{low, mid, old, young, next(t, r, 1)} {
		if got := passes(t, send, recv, load(t, r, SocketKey(), own)); got != own.Sees(old) {
			t.Errorf("injected by %v, seen by %v: %v", old, own, got)
		}
	}
	for range 2 {
		if err := r.Remove(cookie); err != nil {
			t.Fatal(err)
		}
	}
	if !passes(t, send, recv, load(t, r, SocketKey(), young)) {
		t.Fatal("a socket that was removed is still known")
	}
}

func TestKeysOfEveryKind(t *testing.T) {
	r := open(t)
	low, mid, high := next(t, r, -5), next(t, r, 0), next(t, r, 5)
	const key = math.MinInt64 + 77 // as packages may make them up beside cookies
	ukey := uint64(1<<63 + 77)
	seen := func(own Rank, key int64) bool {
		t.Helper()
		p := load(t, r, asm.Instructions{asm.LoadImm(asm.R0, key, asm.DWord)}, own)
		ret, err := p.Run(&ebpf.RunOptions{Data: make([]byte, 64)})
		if err != nil {
			t.Fatal(err)
		}
		return ret == 100
	}
	if err := r.Add(ukey, mid); err != nil {
		t.Fatal(err)
	}
	for _, own := range []Rank{low, mid, high} {
		if got := seen(own, key); got != own.Sees(mid) {
			t.Errorf("injected by %v, seen by %v: %v", mid, own, got)
		}
	}
	for _, other := range []int64{0, key + 1, 1} {
		if !seen(high, other) {
			t.Errorf("key %d, which nobody added, was skipped", other)
		}
	}
	if err := r.Add(0, mid); err == nil {
		t.Error("key 0 was added")
	}
	if err := r.Remove(ukey); err != nil {
		t.Fatal(err)
	}
}

func TestNextRefusesWhatIsNoPriority(t *testing.T) {
	r := open(t)
	for _, p := range []int16{-32768, -PriorityMax - 1, PriorityMax + 1, 32767} {
		if _, err := r.Next(p); err == nil {
			t.Errorf("priority %d was taken", p)
		}
	}
}

func TestOpenersMeet(t *testing.T) {
	nettest.Need(t, nettest.Root)
	const openers, each = 16, 100
	ranks := make(chan Rank, openers*each)
	var ready, opened, done sync.WaitGroup
	ready.Add(openers)
	opened.Add(openers)
	for range openers {
		done.Go(func() {
			ready.Done()
			ready.Wait()
			r, err := Open()
			opened.Done()
			if err != nil {
				t.Error(err)
				return
			}
			defer r.Close()
			for range each {
				rank, _ := r.Next(0)
				ranks <- rank
			}
			opened.Wait() // when the last one closes, counting starts anew
		})
	}
	done.Wait()
	close(ranks)
	seen := map[Rank]bool{}
	for r := range ranks {
		if seen[r] {
			t.Fatalf("rank %v twice", r)
		}
		seen[r] = true
	}
	if len(seen) != openers*each {
		t.Fatalf("%d ranks", len(seen))
	}
}

// start runs another process that opened the registry and added a key.
func start(t *testing.T) (cmd *exec.Cmd, rank Rank) {
	t.Helper()
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"=1")
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kill(cmd) })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	var result string
	if _, err := fmt.Sscan(line, &rank, &result); err != nil || result != "<nil>" {
		t.Fatalf("%q: %v", line, err)
	}
	return cmd, rank
}

func kill(cmd *exec.Cmd) {
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
}

func TestOtherProcesses(t *testing.T) {
	r := open(t)
	first := next(t, r, 7)
	cmd, rank := start(t)
	if rank <= first { // other tests may open meanwhile
		t.Fatalf("the other process has rank %v, ours was %v", rank, first)
	}
	var e entry
	if err := r.table.Lookup(uint64(childKey), &e); err != nil || e.Rank != rank {
		t.Fatalf("the other's key: %+v, %v", e, err)
	}
	second := open(t) // must not sweep what is alive
	if err := second.table.Lookup(uint64(childKey), &e); err != nil {
		t.Fatal(err)
	}
	kill(cmd)
	third := open(t)
	if err := third.table.Lookup(uint64(childKey), &e); !errors.Is(err, ebpf.ErrKeyNotExist) {
		t.Fatalf("what a killed process left is still there: %v", err)
	}
}

// ours are the ids of the maps with our names.
func ours(t *testing.T) (ids []ebpf.MapID) {
	t.Helper()
	for _, spec := range []*ebpf.MapSpec{&tableSpec, &openingSpec} {
		m, err := find(spec)
		if err != nil {
			t.Fatal(err)
		}
		if m == nil {
			continue
		}
		info, err := m.Info()
		if err != nil {
			t.Fatal(err)
		}
		id, _ := info.ID()
		ids = append(ids, id)
		m.Close()
	}
	return ids
}

func TestNothingIsLeft(t *testing.T) {
	nettest.Need(t, nettest.Root)
	before := ours(t) // of other processes that run now
	fds := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	n := fds()
	for range 100 {
		r, err := Open()
		if err != nil {
			t.Fatal(err)
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if got := fds(); got != n {
		t.Errorf("%d descriptors, before %d", got, n)
	}
	for until := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) { // the kernel frees maps a little later
		after := ours(t)
		if len(before) != 0 || len(after) == 0 || slices.Equal(before, after) {
			return
		}
		if time.Now().After(until) {
			t.Fatalf("maps %v are left", after)
		}
	}
}

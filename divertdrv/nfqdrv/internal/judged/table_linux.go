package judged

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/wire"
)

// FlowsMax bounds the judged flows of a handle. Each takes about 120 bytes in the kernel.
const FlowsMax = 1 << 16

// sweepEvery is the time between two looks for flows that are silent: they are forgotten after one to two of these.
const sweepEvery = time.Minute

// What the program and we have in common, one value of an array map: control, and then for each place how many packets were
// diverted (the lower half of the word) and how many of these have gone on or ended (the upper half).
const (
	controlEra   = 0
	controlSweep = 8
	controlLen   = 16
	sharedLen    = controlLen + 8*Places
)

// control is the start of the shared value.
type control struct{ era, sweep uint64 }

// count is a place's counts. The numbers wrap.
type count struct{ diverted, completed uint32 }

// entry is a judged flow, in the kernel's table.
type entry struct {
	era   uint64 // by which it was judged
	sweep uint64 // the last one before its last packet
}

const (
	entryEra   = 0
	entrySweep = 8
)

// The offsets above are those of the structs.
const (
	_ = uint(unsafe.Offsetof(control{}.sweep) - controlSweep)
	_ = uint(controlLen - unsafe.Sizeof(control{}))
	_ = uint(unsafe.Sizeof(count{}) - 8)
	_ = uint(unsafe.Offsetof(entry{}.sweep) - entrySweep)
	_ = uint(40 - unsafe.Sizeof(wire.FlowKey{}))
)

// Table is the judged flows of one handle. Its methods may be called from any goroutine, but see Note.
type Table struct {
	flows  *ebpf.Map // wire.FlowKey to entry
	shared *ebpf.Map
	passed *ebpf.Map // by processor: packets that the program let by
	page   []byte    // of shared
	seed   uint64

	ledger ledger
	mender mender

	now             atomic.Uint64 // the era
	judged, refused atomic.Uint64

	life   sync.RWMutex // held for writing to end; what is mapped is there while it is held, and closed is false
	closed bool         // guarded by life

	purging sync.Mutex // guards all below
	timer   *time.Timer
	purged  time.Time // when stale entries were last looked for
}

// Open makes the kernel's part. It needs CAP_BPF.
func Open() (*Table, error) {
	t := &Table{seed: rand.Uint64()}
	t.ledger.init()
	var err error
	for _, m := range []struct {
		to   **ebpf.Map
		spec ebpf.MapSpec
	}{
		{&t.flows, ebpf.MapSpec{
			Name: "weir_judged", Type: ebpf.Hash, KeySize: uint32(unsafe.Sizeof(wire.FlowKey{})), ValueSize: uint32(unsafe.Sizeof(entry{})),
			MaxEntries: FlowsMax, Flags: unix.BPF_F_NO_PREALLOC,
		}},
		{&t.shared, ebpf.MapSpec{
			Name: "weir_flight", Type: ebpf.Array, KeySize: 4, ValueSize: sharedLen, MaxEntries: 1, Flags: unix.BPF_F_MMAPABLE,
		}},
		{&t.passed, ebpf.MapSpec{Name: "weir_passed", Type: ebpf.PerCPUArray, KeySize: 4, ValueSize: 8, MaxEntries: 1}},
	} {
		if *m.to, err = ebpf.NewMap(&m.spec); err != nil {
			return nil, errors.Join(fmt.Errorf("make the BPF map %s (CAP_BPF): %w", m.spec.Name, err), t.Close())
		}
	}
	t.page, err = unix.Mmap(t.shared.FD(), 0, pages(sharedLen), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("map the counts of packets under way: %w", err), t.Close())
	}
	t.begin()
	return t, nil
}

func pages(n int) int {
	p := unix.Getpagesize()
	return (n + p - 1) / p * p
}

func (t *Table) control() *control { return (*control)(unsafe.Pointer(&t.page[0])) }

func (t *Table) at(place uint16) *count {
	return (*count)(unsafe.Pointer(&t.page[controlLen+8*int(place%Places)]))
}

// begin begins an era.
func (t *Table) begin() { t.now.Store(atomic.AddUint64(&t.control().era, 1)) }

// Era is the number of calls of RecallAll so far, from 1.
func (t *Table) Era() uint64 { return t.now.Load() }

// Judge leaves a flow to the kernel.
func (t *Table) Judge(k wire.FlowKey, era uint64) error {
	if p := k.Proto(); p != wire.ProtoTCP && p != wire.ProtoUDP {
		return fmt.Errorf("%w: a flow of protocol %d is always received", divertdrv.ErrUnsupported, p)
	}
	t.life.RLock()
	defer t.life.RUnlock()
	switch {
	case t.closed:
		return divertdrv.ErrClosed
	case era != t.Era():
		return nil
	}
	err := t.put(&k, era)
	if errors.Is(err, unix.E2BIG) && t.purgeFull() {
		err = t.put(&k, era)
	}
	switch {
	case errors.Is(err, unix.E2BIG):
		t.refused.Add(1)
		return fmt.Errorf("%w: there are %d", divertdrv.ErrJudgedFull, FlowsMax)
	case err != nil:
		t.refused.Add(1)
		return fmt.Errorf("judge a flow: %w", err)
	}
	if t.judged.Add(1) == 1 {
		t.purging.Lock()
		t.timer = time.AfterFunc(sweepEvery, t.sweep)
		t.purging.Unlock()
	}
	return nil
}

func (t *Table) put(k *wire.FlowKey, era uint64) error {
	e := entry{era, atomic.LoadUint64(&t.control().sweep)}
	return t.flows.Put(unsafe.Pointer(k), unsafe.Pointer(&e))
}

// Recall has the kernel divert a flow again. It is no error if it does already.
func (t *Table) Recall(k wire.FlowKey) error {
	t.life.RLock()
	defer t.life.RUnlock()
	if t.closed {
		return nil
	}
	if err := t.flows.Delete(unsafe.Pointer(&k)); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("recall a flow: %w", err)
	}
	return nil
}

// RecallAll has the kernel divert all flows again, from the next packet on.
func (t *Table) RecallAll() error {
	t.life.RLock()
	defer t.life.RUnlock()
	if t.closed {
		return nil
	}
	t.begin()
	t.purging.Lock()
	defer t.purging.Unlock()
	t.purge()
	return nil
}

// sweep forgets flows that were silent.
func (t *Table) sweep() {
	t.life.RLock()
	defer t.life.RUnlock()
	if t.closed {
		return
	}
	atomic.AddUint64(&t.control().sweep, 1)
	t.purging.Lock()
	defer t.purging.Unlock()
	t.purge()
	t.timer.Reset(sweepEvery)
}

// purgeFull looks for room; false: somebody looked a moment ago.
func (t *Table) purgeFull() bool {
	t.purging.Lock()
	defer t.purging.Unlock()
	if time.Since(t.purged) < time.Second {
		return false
	}
	t.purge()
	return true
}

// purge removes flows that were silent, and those of eras that are over. It needs t.purging.
func (t *Table) purge() {
	era, sweep := t.Era(), atomic.LoadUint64(&t.control().sweep)
	var dead []wire.FlowKey
	var k wire.FlowKey
	var e entry
	for it := t.flows.Iterate(); it.Next(unsafe.Pointer(&k), unsafe.Pointer(&e)); { // the program deletes too: the next purge goes on
		if e.era != era || e.sweep+2 <= sweep {
			dead = append(dead, k)
		}
	}
	for i := range dead {
		_ = t.flows.Delete(unsafe.Pointer(&dead[i])) // gone already
	}
	t.purged = time.Now()
}

// Stats are what the table counted.
type Stats struct {
	Passed  uint64 // packets that the program let by
	Judged  uint64 // judgements that took effect
	Refused uint64 // those for which there was no room
}

// Stats returns a snapshot; of a table that is closed, nothing is passed.
func (t *Table) Stats() Stats {
	t.life.RLock()
	defer t.life.RUnlock()
	s := Stats{Judged: t.judged.Load(), Refused: t.refused.Load()}
	if t.closed {
		return s
	}
	var by []uint64
	if t.passed.Lookup(uint32(0), &by) == nil {
		for _, n := range by {
			s.Passed += n
		}
	}
	return s
}

// Close gives the maps back; programs that use them keep them.
func (t *Table) Close() error {
	t.life.Lock()
	defer t.life.Unlock()
	if t.closed {
		return nil
	}
	t.closed = true
	t.purging.Lock()
	if t.timer != nil {
		t.timer.Stop()
	}
	t.purging.Unlock()
	var errs []error
	for _, m := range []*ebpf.Map{t.flows, t.shared, t.passed} {
		errs = append(errs, m.Close()) // closing a nil map is no error
	}
	if t.page != nil {
		errs = append(errs, unix.Munmap(t.page))
	}
	return errors.Join(errs...)
}

package ranks

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/rlimit"
	"golang.org/x/sys/unix"
)

// TableMax bounds the keys that are known at once, in all processes.
const TableMax = 1 << 16

// ErrFull: the table has TableMax entries. Entries go with Remove; those of a process that was killed go when the next opens.
var ErrFull = errors.New("ranks: the table of injectors is full: close handles that are not needed")

// entry is the value in the table; programs read the rank, the rest is for sweep.
type entry struct {
	Rank       Rank
	PID, PIDNS uint32 // of the process that made the entry
}

// names carry the version of the layout: processes with another one must not meet.
var (
	tableSpec = ebpf.MapSpec{
		Name: "weir_ranks_1", Type: ebpf.Hash, KeySize: 8, ValueSize: uint32(unsafe.Sizeof(entry{})), MaxEntries: TableMax,
		Flags: unix.BPF_F_NO_PREALLOC,
	}
	openingSpec = ebpf.MapSpec{
		Name: "weir_opening_1", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1, Flags: unix.BPF_F_MMAPABLE,
	}
)

// Registry is this process's hold on the shared table and counter. Its methods may be called from any goroutine, but none once
// Close was called.
type Registry struct {
	table   *ebpf.Map
	counter *ebpf.Map
	opening []byte // the counter's page, shared by all processes

	handles  *ebpf.Map
	changes  *ebpf.Map
	changing []byte       // the page of changes, shared likewise
	purged   atomic.Int64 // when closed handles were last forgotten here
	pidns    uint32
	alone    bool
}

// Open finds or makes what is shared. It needs CAP_BPF; without CAP_SYS_ADMIN it cannot look for what other processes made, see
// Alone. It lifts RLIMIT_MEMLOCK where the kernel counts BPF maps against it (before 5.11).
func Open() (*Registry, error) {
	if err := rlimit.RemoveMemlock(); err != nil {
		return nil, fmt.Errorf("ranks: lift RLIMIT_MEMLOCK (needs CAP_SYS_RESOURCE): %w", err)
	}
	r := &Registry{pidns: pidNamespace()}
	err := r.open(share)
	if errors.Is(err, errBlind) {
		r.alone = true
		enterAlone()
		err = r.open(ownMap)
	}
	if err != nil {
		return nil, errors.Join(err, r.Close())
	}
	r.sweep()
	r.Bury()
	return r, nil
}

func (r *Registry) open(get func(*ebpf.MapSpec) (*ebpf.Map, error)) (err error) {
	if r.table, err = get(&tableSpec); err != nil {
		return err
	}
	if r.counter, err = get(&openingSpec); err != nil {
		return err
	}
	if r.handles, err = get(&handleSpec); err != nil {
		return err
	}
	if r.changes, err = get(&changeSpec); err != nil {
		return err
	}
	if r.opening, err = page(r.counter); err != nil {
		return err
	}
	r.changing, err = page(r.changes)
	return err
}

func page(m *ebpf.Map) ([]byte, error) {
	b, err := unix.Mmap(m.FD(), 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("ranks: map a counter: %w", err)
	}
	return b, nil
}

// Alone reports that this process lacks CAP_SYS_ADMIN, so that it knows nothing of what other processes inject: it must not
// divert beside one in the same network namespace, or two handles could divert each other's packets without end.
func (r *Registry) Alone() bool { return r.alone }

// Close lets go. Entries that were not removed stay for as long as others hold the table.
func (r *Registry) Close() error {
	var err error
	for _, b := range [][]byte{r.opening, r.changing} {
		if b != nil {
			err = errors.Join(err, unix.Munmap(b))
		}
	}
	for _, m := range []*ebpf.Map{r.table, r.counter, r.handles, r.changes} {
		err = errors.Join(err, m.Close()) // closing a nil map is no error
	}
	if r.alone {
		leaveAlone()
	}
	return err
}

// Next gives the next handle its rank: above all that were given before with the same priority, in every process.
func (r *Registry) Next(priority int16) (Rank, error) {
	if priority < -PriorityMax || priority > PriorityMax {
		return 0, fmt.Errorf("ranks: priority %d is not within -%d..%d", priority, PriorityMax, PriorityMax)
	}
	return newRank(priority, atomic.AddUint64((*uint64)(unsafe.Pointer(&r.opening[0])), 1)), nil
}

// Openings is how many handles were given a rank so far, in every process.
func (r *Registry) Openings() uint64 {
	return atomic.LoadUint64((*uint64)(unsafe.Pointer(&r.opening[0])))
}

// Add makes packets with the key known as injected by the rank, until Remove. Keys are never used again for another injector, so
// an entry that stays behind does no harm but taking its place. Key 0 is nobody's.
func (r *Registry) Add(key uint64, rank Rank) error {
	if key == 0 {
		return errors.New("ranks: key 0 is that of packets which nobody injected")
	}
	err := r.table.Put(key, entry{Rank: rank, PID: uint32(os.Getpid()), PIDNS: r.pidns})
	if errors.Is(err, unix.E2BIG) {
		return ErrFull
	}
	if err != nil {
		return fmt.Errorf("ranks: add to the table: %w", err)
	}
	return nil
}

// Remove forgets a key. Removing twice is no error.
func (r *Registry) Remove(key uint64) error {
	if err := r.table.Delete(key); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
		return fmt.Errorf("ranks: remove from the table: %w", err)
	}
	return nil
}

// sweep forgets what processes left that ended without Remove. Those of other pid namespaces cannot be told and stay.
func (r *Registry) sweep() {
	var k uint64
	var e entry
	var dead []uint64
	for it := r.table.Iterate(); it.Next(&k, &e); { // cut short by others' deletions: the next sweep goes on
		if e.PIDNS == r.pidns && errors.Is(unix.Kill(int(e.PID), 0), unix.ESRCH) {
			dead = append(dead, k)
		}
	}
	for _, k := range dead {
		_ = r.Remove(k) // an entry that stays names nobody
	}
}

// pidNamespace is the inode of ours; 0, where /proc does not say, makes every process without /proc one namespace's.
func pidNamespace() uint32 {
	var st unix.Stat_t
	if unix.Stat("/proc/self/ns/pid", &st) != nil {
		return 0
	}
	return uint32(st.Ino)
}

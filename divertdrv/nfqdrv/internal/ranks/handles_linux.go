package ranks

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// HandlesMax bounds the handles that are known at once, in all processes, with those that were closed a moment ago.
const HandlesMax = 4096

// ObjectMax is the longest filter that is told of, as an object: texts come to some 9,200 bytes.
const ObjectMax = 9600

// Those that are closed stay for a while, so that who watches hears of handles that were open for a moment only.
const (
	closedFor  = 10 * time.Second
	purgeEvery = time.Second
)

// Handle is what all processes know of one that is open, or was until a moment ago.
type Handle struct {
	Space      uint64 // inode of its network namespace
	Opened     int64  // nanoseconds of the Unix epoch
	Closed     int64  // the same; 0: it is open
	Flags      uint64
	PID, PIDNS uint32
	Priority   int16
	Layer      uint8
	_          uint8
	length     uint32 // of object
	object     [ObjectMax]byte
}

const _ = uint(unsafe.Sizeof(Handle{}) - 48 - ObjectMax)

// Object is the handle's filter, with a NUL behind it; empty if it is longer than ObjectMax.
func (h *Handle) Object() []byte { return h.object[:min(h.length, ObjectMax)] }

// SetObject sets it.
func (h *Handle) SetObject(object string) {
	if len(object) < ObjectMax {
		h.length = uint32(copy(h.object[:], object)) + 1
	}
}

var (
	handleSpec = ebpf.MapSpec{
		Name: "weir_handles_1", Type: ebpf.Hash, KeySize: 8, ValueSize: uint32(unsafe.Sizeof(Handle{})), MaxEntries: HandlesMax,
		Flags: unix.BPF_F_NO_PREALLOC,
	}
	changeSpec = ebpf.MapSpec{
		Name: "weir_changes_1", Type: ebpf.Array, KeySize: 4, ValueSize: 8, MaxEntries: 1, Flags: unix.BPF_F_MMAPABLE,
	}
)

// Announce makes a handle known to all processes under the number of its opening.
func (r *Registry) Announce(number uint64, h *Handle) error {
	h.PID, h.PIDNS = uint32(os.Getpid()), r.pidns
	err := r.write(number, h)
	if errors.Is(err, unix.E2BIG) {
		r.purge(time.Now())
		err = r.write(number, h)
	}
	if errors.Is(err, unix.E2BIG) {
		return fmt.Errorf("%w: %d handles are open", ErrFull, HandlesMax)
	}
	if err != nil {
		return fmt.Errorf("ranks: announce a handle: %w", err)
	}
	return nil
}

// Withdraw says that a handle is closed. That it is not known is no error.
func (r *Registry) Withdraw(number uint64, now time.Time) error {
	var h Handle
	err := r.handles.Lookup(unsafe.Pointer(&number), unsafe.Pointer(&h))
	if errors.Is(err, ebpf.ErrKeyNotExist) {
		return nil
	}
	if err == nil && h.Closed == 0 {
		h.Closed = now.UnixNano()
		err = r.write(number, &h)
	}
	if err != nil {
		return fmt.Errorf("ranks: withdraw a handle: %w", err)
	}
	if last := r.purged.Load(); over(now, last, purgeEvery) && r.purged.CompareAndSwap(last, now.UnixNano()) {
		r.purge(now)
	}
	return nil
}

// write counts a change when it is there.
func (r *Registry) write(number uint64, h *Handle) error {
	err := r.handles.Put(unsafe.Pointer(&number), unsafe.Pointer(h))
	atomic.AddUint64((*uint64)(unsafe.Pointer(&r.changing[0])), 1)
	return err
}

// Changes is a number that is another whenever a handle was announced or withdrawn, in any process.
func (r *Registry) Changes() uint64 {
	return atomic.LoadUint64((*uint64)(unsafe.Pointer(&r.changing[0])))
}

// Numbered is a handle with the number of its opening.
type Numbered struct {
	Number uint64
	Handle
}

// Handles are those of a network namespace, in the order of their opening. They are large: some 10 KB each.
func (r *Registry) Handles(space uint64) (all []Numbered) {
	r.eachHandle(func(number uint64, h *Handle) {
		if h.Space == space {
			all = append(all, Numbered{number, *h})
		}
	})
	slices.SortFunc(all, func(a, b Numbered) int { return cmp.Compare(a.Number, b.Number) })
	return all
}

// eachHandle is cut short when others delete what is looked at; the next look goes on.
func (r *Registry) eachHandle(do func(number uint64, h *Handle)) {
	var number uint64
	h := new(Handle)
	for it := r.handles.Iterate(); it.Next(unsafe.Pointer(&number), unsafe.Pointer(h)); {
		do(number, h)
	}
}

// Bury withdraws the handles of processes that ended without.
func (r *Registry) Bury() {
	var dead []uint64
	r.eachHandle(func(number uint64, h *Handle) {
		if h.Closed == 0 && h.PIDNS == r.pidns && errors.Is(unix.Kill(int(h.PID), 0), unix.ESRCH) {
			dead = append(dead, number)
		}
	})
	for _, number := range dead {
		_ = r.Withdraw(number, time.Now()) // one that stays is looked at again
	}
}

// over says whether so much time has passed since then, which all processes can read. If then is still to come, somebody set the
// clock back, and it is over too: else nothing would be forgotten until the clock has caught up.
func over(now time.Time, then int64, d time.Duration) bool {
	passed := now.UnixNano() - then
	return passed > int64(d) || passed < -int64(d)
}

// purge forgets what has been closed for long enough.
func (r *Registry) purge(now time.Time) {
	var old []uint64
	r.eachHandle(func(number uint64, h *Handle) {
		if h.Closed != 0 && over(now, h.Closed, closedFor) {
			old = append(old, number)
		}
	})
	for _, number := range old {
		_ = r.handles.Delete(unsafe.Pointer(&number)) // somebody else was faster
	}
}

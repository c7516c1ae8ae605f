package nfqdrv

import (
	"sync"
	"sync/atomic"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/nfqdrv/internal/judged"
	"github.com/weirnet/weir/divertdrv/nfqdrv/internal/queue"
	"github.com/weirnet/weir/divertdrv/nfqdrv/internal/ranks"
	"github.com/weirnet/weir/divertdrv/nfqdrv/internal/reinject"
	"github.com/weirnet/weir/divertdrv/nfqdrv/internal/rules"
)

// HoldMax is how many packets a handle can hold at once. They wait in the kernel's queue.
const HoldMax = 4096

// queueLength is the kernel's own limit for a handle's queue: what may be queued by WinDivert's limits, held, and in batches, and as
// much again for what comes between two looks of the keeper.
const queueLength = 2 * (16384 + HoldMax)

// conn is one open handle. Two sides work beside each other: in receives, out tells verdicts and injects.
//
//	open ──Shutdown(recv)──▶ recvShut: no rules; what is queued is read ──▶ closed
//	open ──Shutdown(send)──▶ sendShut: nothing goes on ──────────────────▶ closed
type conn struct {
	driver *Driver
	asked  atomic.Pointer[asked]
	layer  addr.Layer
	rank   ranks.Rank
	keys   []uint64 // by which injections are known

	sniffs, dropAll, recvOnly, sendOnly, fragments bool

	queue    *queue.Queue // nil where nothing is received
	table    *rules.Table // the same
	injector *reinject.Injector
	copier   *copier       // of a Sniff handle, which has no queue
	dropper  counter       // of a DropAll handle whose rules drop
	judged   *judged.Table // nil: flows cannot be judged
	keeper   keeper
	shown    ranks.Handle // what other processes are told of it; guarded by life once it is open
	mender   mender

	recvShut, sendShut, closing atomic.Bool
	life                        sync.Mutex // guards the steps of Shutdown and Close
	ended                       bool       // guarded by life

	in  in
	out out

	books books
}

// in is the receiving side. Its lock is held while Recv waits.
type in struct {
	mu      sync.Mutex
	packet  queue.Packet
	headers divertdrv.Headers
	addr    divertdrv.Address
	verdict verdicts // of what is not given to anybody
	passes  uint64   // of those, that go on
	backlog backlog
	joiner  joiner
	copies  token   // tokenCopy if that is what comes
	flight  *flight // of echoes that go on

	full struct { // messages and bytes since the kernel's queue was seen empty
		messages, bytes uint64
		since           int64 // as now; 0: it was seen empty
	}
	now     int64 // by clock.Steady, once per receive
	stamp   int64 // nanoseconds of the Unix epoch, the same
	present int64 // as now: until then there is a reader
	away    bool  // the keeper found none
}

// out is the sending side.
type out struct {
	mu      sync.Mutex
	verdict verdicts
	pieces  map[uint32][]uint32 // of joined packets: the ids of their other fragments
	mtus    mtus
	shift   shift
	closed  bool
	one     [1]divertdrv.Packet
}

// Caps is what a handle at this layer can do.
func (c *conn) Caps() divertdrv.Caps {
	return divertdrv.Caps{
		Inject: true, InjectInbound: c.layer == addr.Network, Modify: true, Grow: true, GSO: true, IfIdx: !c.sniffs, Fragments: true,
		LossCounted: c.queue == nil || c.queue.Counted(), HoldMax: HoldMax, CutThrough: c.judged != nil,
	}
}

// Param reads a limit of the queue, or the version of WinDivert whose semantics this is.
func (c *conn) Param(p divertdrv.Param) (uint64, error) {
	if c.closing.Load() {
		return 0, divertdrv.ErrClosed
	}
	return c.in.backlog.param(p)
}

// SetParam sets a limit of the queue.
func (c *conn) SetParam(p divertdrv.Param, v uint64) error {
	if c.closing.Load() {
		return divertdrv.ErrClosed
	}
	return c.in.backlog.setParam(p, v)
}

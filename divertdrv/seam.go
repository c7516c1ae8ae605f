package divertdrv

import (
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/filter"
	"github.com/weirnet/weir/divertdrv/reason"
	"github.com/weirnet/weir/divertdrv/wire"
)

// The packages below the seam, under the names that belong to it.
type (
	Address = addr.Address
	Layer   = addr.Layer
	Event   = addr.Event
	Flags   = addr.Flags
	Param   = addr.Param
	Filter  = filter.Program
	Headers = wire.Headers
	FlowKey = wire.FlowKey
	Cause   = reason.Cause
)

// The layers where handles are opened; see package addr.
const (
	Network        = addr.Network
	NetworkForward = addr.NetworkForward
	LayerFlow      = addr.LayerFlow
	LayerSocket    = addr.LayerSocket
	LayerReflect   = addr.LayerReflect
)

// Flags of a handle; see package addr.
const (
	Sniff     = addr.Sniff
	DropAll   = addr.DropAll
	RecvOnly  = addr.RecvOnly
	SendOnly  = addr.SendOnly
	NoInstall = addr.NoInstall
	Fragments = addr.Fragments
)

// Bounds that hold for every driver.
const (
	BatchMax = 255               // packets in one Recv or Complete
	MTUMax   = wire.MaxPacketLen // bytes of one packet: 65,575
)

// Shutdown says which half of a handle ends; the numbers are WinDivert's.
type Shutdown uint8

// The halves of a handle.
const (
	ShutdownRecv Shutdown = 1
	ShutdownSend Shutdown = 2
	ShutdownBoth Shutdown = 3
)

// Overload says what a handle does with packets that its queue has no room for.
type Overload uint8

// The overload policies. WinDivert and the simulator shed the oldest, which is the default.
const (
	OverloadShedOldest Overload = iota // the oldest queued packet is lost, and counted
	OverloadOpen                       // the packet goes on undecided, past this handle
	OverloadClosed                     // the packet is lost, and counted
)

// Caps is what a driver can do here. What it cannot do is refused at Open or returns ErrUnsupported, never done differently.
type Caps struct {
	Inject        bool // packets can be put in
	InjectInbound bool // on the receive path too
	Modify        bool // a passed packet may be changed
	Grow          bool // and may become longer
	Process       bool // the owner of a flow is known
	GSO           bool // super-packets arrive whole
	IfIdx         bool // the interface index is true
	Fragments     bool // the Fragments flag is honoured
	LossCounted   bool // Stats.Lost is complete
	CutThrough    bool // judged flows stay in the kernel: Handle.Judge; with Options.CutThrough only
	HeaderAlign   int  // bytes; an injected IP header must start at such an address; 0: any
	HoldMax       int  // packets that may be held at once
}

// Driver opens handles. Open is given a program that was compiled for layer and options that were checked.
type Driver interface {
	Name() string
	Open(f *Filter, layer Layer, opts *Options) (Conn, error)
}

// CutThrough is what a Conn also is whose Caps have it; see Handle.Judge.
type CutThrough interface {
	Era() uint64
	Judge(k FlowKey, era uint64) error
	Recall(k FlowKey) error
	RecallAll() error
}

// Conn is one open handle of a driver, the seam that every platform implements. It is used by Handle only, which keeps the
// books, so a Conn must not count what Handle counts: its Stats has Lost and what it judged by itself.
//
// Recv adds at least one packet to an empty batch with Batch.Append, or returns ErrShutdown or ErrClosed, or what broke.
// Complete puts back every packet whose Outcome is Pass, and reports those that it could not put back with Batch.Fail; a packet
// that is dropped or held needs no word, a driver that keeps packets in the kernel tells it of drops. Release is the late word
// for a packet that was held. Inject tries packets in order until one fails and returns how many went in.
//
// What a Conn can do besides (CutThrough, MTU, Clock) is found by its methods. One that wraps another has Unwrap() Conn, so that
// the other's are found too.
type Conn interface {
	Recv(b *Batch) error
	Complete(b *Batch) error
	Release(token uint64, m Mark, p *Packet) error
	Inject(p []Packet) (n int, err error)
	Param(p Param) (uint64, error)
	SetParam(p Param, v uint64) error
	Shutdown(how Shutdown) error
	Close() error
	Caps() Caps
	Stats() Stats
}

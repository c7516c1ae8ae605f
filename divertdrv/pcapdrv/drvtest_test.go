package pcapdrv

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/drvtest"
)

// The contract on a capture that is still being written. What a file cannot have is skipped, and nothing else.
func TestDriver(t *testing.T) {
	drvtest.TestDriver(t, drvtest.Setup{New: newWorld, Skips: skips, Docs: "../../docs/drivers.md"})
}

// skips are the rules that a capture cannot be asked.
var skips = []string{
	// a capture says nothing of what was forwarded
	"forward/*",
	"address/forwarded",
	"priority/layers-are-apart",
	"pass/changes-no-byte-forwarded",
	"inject/forward",
	"reflect/other-layers",
	// nor of interfaces that are here
	"address/interface",
	"inject/inbound-at-an-interface-that-is",
	// reading waits for the handles, so nothing is shed
	"queue/length-sheds-the-oldest",
	"queue/size-sheds-the-oldest",
	"queue/larger-than-the-queue",
	"queue/a-shorter-length-holds-from-the-next-packet",
	"queue/time-sheds-what-waited",
	"queue/losses-are-counted-by-cause",
	"queue/each-handle-has-its-own",
	"queue/copies-are-shed-alone",
	"queue/what-passes-above-may-be-shed-below",
	"overload/open-lets-pass",
	"overload/closed-loses-the-newest",
	"close/unread-for-too-long-is-lost",
	// a Recv that reads from a pipe is woken by the pipe only
	"shutdown/recv-wakes-who-waits",
	"close/wakes-who-waits",
	// fragments are what was recorded, for every handle
	"fragments/reassembled-without-the-flag",
	// it knows no flows and no programs
	"flow/*", "socket/*",
}

func newWorld(t drvtest.T) *drvtest.World {
	n := &tape{}
	n.readable.L = &n.mu
	n.in = binary.LittleEndian.AppendUint32(nil, magicNano)
	n.in = append(n.in, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0)
	n.in = binary.LittleEndian.AppendUint32(n.in, sll2Link)
	d, err := Open(Options{Reader: n, Writer: &n.out})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	n.d = d
	n.pump(t)
	return &drvtest.World{
		Driver: d,
		Caps: divertdrv.Caps{
			Inject: true, InjectInbound: true, Modify: true, Grow: true, GSO: true, Fragments: true,
			LossCounted: true, HoldMax: holdMax,
		},
		Network: n,
		Ways:    []drvtest.Way{drvtest.Outbound, drvtest.Inbound, drvtest.Loopback},
		Waits:   true,
		Unwoken: true, Unjoined: true,
	}
}

// tape is a capture that grows while it is read, and what was written of it.
type tape struct {
	d   *Driver
	out lockedBuffer

	mu       sync.Mutex // guards all below
	readable sync.Cond  // something was written, or it ended
	in       []byte
	sent     int64
	asked    bool // the driver has read all, walked all of it, and asks for more
	ended    bool
	seen     int // frames of out that Left has returned
}

const sll2Link = 276 // LINKTYPE_LINUX_SLL2: it tells the direction

// pump keeps a handle reading that takes nothing, so that packets come whether the suite reads or not: a host is not a file.
func (n *tape) pump(t drvtest.T) {
	h, err := divertdrv.Open("false", divertdrv.Network, &divertdrv.Options{Driver: n.d})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	var pumping sync.WaitGroup
	pumping.Go(func() { _ = h.Recv(divertdrv.NewBatch(1, 100)) })
	t.Cleanup(func() {
		n.end()
		if err := n.d.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
		pumping.Wait()
	})
}

func (n *tape) end() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ended = true
	n.readable.Broadcast()
}

// Read gives what was sent, and waits when there is nothing: all before it has then come as far as it can.
func (n *tape) Read(b []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for len(n.in) == 0 && !n.ended {
		n.asked = true
		n.readable.Broadcast()
		n.readable.Wait()
	}
	if n.ended {
		return 0, io.EOF
	}
	n.asked = false
	c := copy(b, n.in)
	n.in = n.in[c:]
	return c, nil
}

func (n *tape) Send(w drvtest.Way, data []byte) error {
	head := make([]byte, 20, 20+len(data))
	binary.BigEndian.PutUint16(head, map[bool]uint16{true: 0x0800, false: 0x86dd}[data[0]>>4 == 4])
	binary.BigEndian.PutUint16(head[8:], 1) // ARPHRD_ETHER
	switch w {
	case drvtest.Outbound:
		head[10] = 4 // PACKET_OUTGOING
	case drvtest.Inbound:
		head[10] = 0 // PACKET_HOST
	case drvtest.Loopback:
		binary.BigEndian.PutUint16(head[8:], 772) // ARPHRD_LOOPBACK
	default:
		return fmt.Errorf("no way %v", w)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sent++
	n.asked = false
	n.in = binary.LittleEndian.AppendUint32(n.in, uint32(1_700_000_000))
	n.in = binary.LittleEndian.AppendUint32(n.in, uint32(n.sent))
	n.in = binary.LittleEndian.AppendUint32(n.in, uint32(20+len(data)))
	n.in = binary.LittleEndian.AppendUint32(n.in, uint32(20+len(data)))
	n.in = append(append(n.in, head...), data...)
	n.readable.Broadcast()
	return nil
}

// Settle waits until the driver asks for more.
func (n *tape) Settle() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for !n.asked && !n.ended {
		n.readable.Wait()
	}
}

// Left reads the output that was written since.
func (n *tape) Left() (all []drvtest.Arrival) {
	_ = n.d.writer.Flush()
	r, err := NewReader(bytes.NewReader(n.out.Bytes()), "output")
	if err != nil {
		panic(err)
	}
	var f Frame
	for i := 0; r.Next(&f) == nil; i++ {
		if i < n.seen {
			continue
		}
		n.seen++
		atHost := f.Direction == Inbound || destination(f.Data) == local4 || destination(f.Data) == local6
		all = append(all, drvtest.Arrival{AtHost: atHost, Data: bytes.Clone(f.Data)})
	}
	return all
}

// The suite's host; what it sends to itself comes out there.
var local4, local6 = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8:1::1")

func destination(b []byte) netip.Addr {
	_, dst := addresses(b, b[0]>>4)
	return dst
}

type lockedBuffer struct {
	mu sync.Mutex // guards b
	b  []byte
}

func (l *lockedBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b = append(l.b, b...)
	return len(b), nil
}

func (l *lockedBuffer) Bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b
}

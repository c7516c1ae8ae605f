package proc

import (
	"errors"
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/addr"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/internal/clock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var epoch = time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)

// world is a system of made-up sockets and processes.
type world struct {
	mu      sync.Mutex // guards all below
	sockets []Socket
	procs   map[uint32]Process
	broken  error
	looks   int
}

func (w *world) Sockets() ([]Socket, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.looks++
	return append([]Socket(nil), w.sockets...), w.broken
}

func (w *world) Process(id uint32) (Process, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	p, ok := w.procs[id]
	if !ok {
		return Process{}, errors.New("no such process")
	}
	return p, nil
}

func newWorld(names ...string) *world {
	w := &world{procs: map[uint32]Process{}}
	for i, n := range names {
		id := uint32(i + 1)
		w.procs[id] = Process{ID: id, Name: n, Start: epoch.Add(-time.Hour), Path: "/bin/" + n}
	}
	return w
}

func end(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func keyOf(proto uint8, local, remote string) Key {
	k := Key{Local: wire.EndpointFrom(end(local)), Proto: proto}
	if remote != "" {
		k.Remote = wire.EndpointFrom(end(remote))
	}
	return k
}

// event is one of the SOCKET layer, or of FLOW where it belongs there.
func event(at time.Time, e addr.Event, endpoint uint64, pid uint32, proto uint8, local, remote string) *divertdrv.Address {
	var a divertdrv.Address
	f := addr.Flow{EndpointID: endpoint, ProcessID: pid, Local: end(local), Protocol: proto}
	if remote != "" {
		f.Remote = end(remote)
	}
	a.SetFlow(f)
	a.SetLayer(divertdrv.LayerSocket, e)
	if e == addr.EventEstablished || e == addr.EventDeleted {
		a.SetLayer(divertdrv.LayerFlow, e)
	}
	a.Timestamp = at.UnixNano()
	return &a
}

// answers collects what Ask says.
type answers struct{ got []Process }

func (a *answers) put(p Process, ok bool) {
	if ok != p.Known() {
		panic("an answer that contradicts itself")
	}
	a.got = append(a.got, p)
}

func balanced(t interface {
	Helper()
	Errorf(string, ...any)
}, s Stats,
) {
	t.Helper()
	if s.Asked != s.Attributed+s.Unattributed+s.Waiting || s.Shared+s.Refused > s.Unattributed {
		t.Errorf("the books do not balance: %+v", s)
	}
}

func newTable(t *testing.T, o Options) (*Table, *clock.Virtual) {
	t.Helper()
	c := clock.NewVirtual(epoch)
	o.Clock = c
	table := New(o)
	t.Cleanup(func() {
		table.Close()
		balanced(t, table.Stats())
		if s := table.Stats(); s.Waiting != 0 {
			t.Errorf("after Close: %+v", s)
		}
	})
	return table, c
}

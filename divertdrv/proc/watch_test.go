package proc_test

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/proc"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/divertdrv/wire"
)

const patience = 30 * time.Second

// programs of the simulated host.
type programs map[uint32]string

func (programs) Sockets() ([]proc.Socket, error) { return nil, nil }

func (p programs) Process(id uint32) (proc.Process, error) {
	if name, ok := p[id]; ok {
		return proc.Process{ID: id, Name: name}, nil
	}
	return proc.Process{}, errors.New("no such process")
}

// datagram is a UDP packet with no payload.
func datagram(src, dst netip.AddrPort) []byte {
	b := make([]byte, 28)
	b[0], b[3], b[8], b[9] = 0x45, 28, 64, wire.ProtoUDP
	copy(b[12:], src.Addr().AsSlice())
	copy(b[16:], dst.Addr().AsSlice())
	b[20], b[21], b[22], b[23], b[25] = byte(src.Port()>>8), byte(src.Port()), byte(dst.Port()>>8), byte(dst.Port()), 8
	return b
}

// joiner is what a driver or an embedder does: the first packet of a flow is held until its owner is known, or cannot be. Asking
// waits for its answer elsewhere, so the packets behind it are not kept up by it, but by the order of their own flow.
type joiner struct {
	table *proc.Table
	mu    sync.Mutex // guards owned
	owned map[proc.Key]proc.Process
	wg    sync.WaitGroup
}

func (j *joiner) take(b *divertdrv.Batch) error {
	for i := range b.Packets() {
		k, inbound, ok := proc.KeyOf(&b.Packets()[i])
		if !ok {
			b.Packets()[i].Set(divertdrv.Pass, 0)
			continue
		}
		held, err := b.Hold(i, patience, divertdrv.Pass)
		if err != nil {
			return err
		}
		j.wg.Add(1)
		j.table.Ask(k, inbound, func(p proc.Process, _ bool) {
			defer j.wg.Done()
			j.mu.Lock()
			j.owned[k] = p
			j.mu.Unlock()
			_ = held.Release(divertdrv.Pass, 0)
		})
	}
	return nil
}

// On the simulator: each first packet is held until the SOCKET event that comes through another handle names its program; packets
// of nobody's socket pass when the deadline is over. Nothing is lost.
func TestWatch(t *testing.T) {
	stack := simdrv.New(simdrv.Config{})
	table := proc.New(proc.Options{System: programs{7: "curl", 8: "dig"}, Deadline: 200 * time.Millisecond})
	defer table.Close()
	ctx, cancel := context.WithCancel(context.Background())
	watched, ready := make(chan error, 1), make(chan struct{})
	go func() { watched <- table.Watch(ctx, stack, func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-watched:
		t.Fatal(err)
	}
	h, err := divertdrv.Open("udp", divertdrv.Network, &divertdrv.Options{Driver: stack})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	const flows = 200
	j := joiner{table: table, owned: map[proc.Key]proc.Process{}}
	read := make(chan error, 1)
	go func() {
		b := divertdrv.NewBatch(64, 1<<20)
		for {
			err := h.Recv(b)
			if err == nil {
				err = errors.Join(j.take(b), h.Complete(b))
			}
			if err != nil {
				read <- err
				return
			}
		}
	}()
	remote := netip.MustParseAddrPort("192.0.2.1:53")
	want := map[proc.Key]uint32{}
	for i := range uint16(flows) {
		local := netip.AddrPortFrom(netip.MustParseAddr("10.0.0.1"), 2000+i)
		pid := []uint32{7, 8, 0}[i%3] // 0: no socket at all
		if pid != 0 {
			k, err := stack.Bind(pid, wire.ProtoUDP, local)
			if err != nil {
				t.Fatal(err)
			}
			if i%2 == 0 {
				if err := k.Connect(remote); err != nil {
					t.Fatal(err)
				}
			}
		}
		want[proc.Key{Local: wire.EndpointFrom(local), Remote: wire.EndpointFrom(remote), Proto: wire.ProtoUDP}] = pid
		if err := stack.Send(datagram(local, remote)); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.Shutdown(divertdrv.ShutdownRecv); err != nil {
		t.Fatal(err)
	}
	if err := <-read; !errors.Is(err, divertdrv.ErrShutdown) {
		t.Fatal(err)
	}
	j.wg.Wait()
	cancel()
	if err := <-watched; err != nil {
		t.Error(err)
	}
	for k, pid := range want {
		if p, ok := j.owned[k]; !ok || p.ID != pid {
			t.Errorf("%+v: %+v, want process %d", k, p, pid)
		}
	}
	if s := h.Stats(); s.Conserved() != nil || s.Received != flows || s.Passed != flows || s.Held != 0 {
		t.Errorf("%+v", s)
	}
	if s := table.Stats(); s.Asked != flows || s.Unattributed != flows/3 || s.Attributed != flows-flows/3 || s.Waiting != 0 {
		t.Errorf("%+v", s)
	}
}

// A driver without sockets and flows says so.
func TestWatchUnsupported(t *testing.T) {
	table := proc.New(proc.Options{System: programs{}})
	defer table.Close()
	if err := table.Watch(context.Background(), noEvents{simdrv.New(simdrv.Config{})}, func() { t.Error("ready") }); !errors.Is(err, divertdrv.ErrUnsupported) {
		t.Error(err)
	}
}

// noEvents is a driver that has packets only.
type noEvents struct{ divertdrv.Driver }

func (noEvents) Open(*divertdrv.Filter, divertdrv.Layer, *divertdrv.Options) (divertdrv.Conn, error) {
	return nil, divertdrv.ErrUnsupported
}

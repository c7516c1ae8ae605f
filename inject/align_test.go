package inject_test

import (
	"encoding/binary"
	"testing"
	"time"
	"unsafe"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/simdrv"
	"github.com/weirnet/weir/divertdrv/wire"
	"github.com/weirnet/weir/inject"
	"github.com/weirnet/weir/internal/clock"
)

// given is a driver that takes packets and notes where in memory each was.
type given struct {
	divertdrv.Driver
	at []uintptr
}

type givenConn struct {
	divertdrv.Conn
	to *given
}

func (g *given) Open(f *divertdrv.Filter, l divertdrv.Layer, o *divertdrv.Options) (divertdrv.Conn, error) {
	c, err := g.Driver.Open(f, l, o)
	return &givenConn{c, g}, err
}

func (c *givenConn) Inject(p []divertdrv.Packet) (int, error) {
	for i := range p {
		c.to.at = append(c.to.at, address(p[i].Data))
	}
	return c.Conn.Inject(p)
}

func (c *givenConn) Complete(b *divertdrv.Batch) error {
	for i := range b.Packets() {
		c.to.at = append(c.to.at, address(b.Packets()[i].Data))
	}
	return c.Conn.Complete(b)
}

func address(b []byte) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(b))) }

// source is where packets really come from at addresses that are not a pointer's.
type source struct {
	name  string
	holds func(packets [][]byte) (block []byte, at []int) // as it lies in memory, and where the IP headers are
}

var sources = []source{
	{"packets packed back to back, as WinDivert's batches", func(packets [][]byte) (block []byte, at []int) {
		for _, p := range packets {
			at = append(at, len(block))
			block = append(block, p...)
		}
		return block, at
	}},
	{"Ethernet frames of a capture", func(packets [][]byte) (block []byte, at []int) {
		for _, p := range packets {
			block = append(block, make([]byte, -len(block)&7)...)
			block = append(block, make([]byte, 12)...)
			block = append(block, 0x08, 0x00)
			at = append(at, len(block))
			block = append(block, p...)
		}
		return block, at
	}},
	{"netlink attributes, as NFQUEUE's", func(packets [][]byte) (block []byte, at []int) {
		const nlmsghdr, nfgenmsg, nlattr, packetHdr, payload = 16, 4, 4, 7, 10
		for _, p := range packets {
			block = append(block, make([]byte, nlmsghdr+nfgenmsg+nlattr+packetHdr+1)...) // attributes are padded to 4
			block = binary.NativeEndian.AppendUint16(block, uint16(nlattr+len(p)))
			block = binary.NativeEndian.AppendUint16(block, payload)
			at = append(at, len(block))
			block = append(append(block, p...), make([]byte, -len(p)&3)...)
		}
		return block, at
	}},
}

// Wherever a packet comes from: what is aligned reaches the driver at the same address, what is not is moved once, to an aligned one;
// and nothing is allocated for either.
func TestSourcesOfMisalignment(t *testing.T) {
	for _, s := range sources {
		t.Run(s.name, func(t *testing.T) {
			v := clock.NewVirtual(time.Unix(1, 0))
			g := &given{Driver: simdrv.New(simdrv.Config{HeaderAlign: 8}), at: make([]uintptr, 0, 1000)}
			h, err := divertdrv.Open("false", divertdrv.Network, &divertdrv.Options{Driver: g})
			if err != nil {
				t.Fatal(err)
			}
			j, err := inject.New(h, inject.Config{Clock: v})
			if err != nil {
				t.Fatal(err)
			}
			block, starts := s.holds([][]byte{segment(0, 21, 0, wire.ProtoTCP), segment(4, 8, 0, wire.ProtoUDP), segment(0, 9, 0, wire.ProtoTCP), segment(0, 7, 0, wire.ProtoUDP)})
			block = at(block, 0)
			misaligned := 0
			for i, start := range starts {
				n := int(binary.BigEndian.Uint16(block[start+2:]))
				data := block[start : start+n : start+n]
				off := address(data) % 8
				misaligned += min(int(off), 1)
				p := divertdrv.NewPacket(final(), data)
				before := j.Stats().Realigned
				allocs := testing.AllocsPerRun(20, func() {
					g.at = g.at[:0]
					v.Advance(2 * time.Second)
					if err := j.Inject(nil, inject.Injection{Packet: p}); err != nil {
						t.Fatal(err)
					}
				})
				moved := j.Stats().Realigned - before
				if to := g.at[0]; len(g.at) != 1 || (to == address(data)) != (off == 0) || to%8 != 0 || allocs != 0 || moved != 21*uint64(min(off, 1)) {
					t.Errorf("packet %d at %#x: given at %#x, moved %d times in 21, %v allocations", i, address(data), to, moved, allocs)
				}
			}
			if misaligned == 0 {
				t.Error("the source is aligned throughout")
			}
			closeAll(t, j, h)
		})
	}
}

// The changed packets of a batch share buffers: more of them than the injector has buffers are realigned without allocating.
func TestBatchIsRealignedWithoutAllocating(t *testing.T) {
	const packets = 200
	sim := simdrv.New(simdrv.Config{HeaderAlign: 8})
	g := &given{Driver: sim, at: make([]uintptr, 0, packets)}
	h, err := divertdrv.Open("true", divertdrv.Network, &divertdrv.Options{Driver: g})
	if err != nil {
		t.Fatal(err)
	}
	j, err := inject.New(h, inject.Config{Buffers: 1})
	if err != nil {
		t.Fatal(err)
	}
	b := divertdrv.NewBatch(packets, 1<<20)
	data := segment(0, 200, 0, wire.ProtoTCP)
	allocs := testing.AllocsPerRun(3, func() {
		for range packets {
			if err := sim.Send(data); err != nil {
				t.Fatal(err)
			}
		}
		for done := 0; done < packets; done += len(g.at) {
			if err := h.Recv(b); err != nil {
				t.Fatal(err)
			}
			for i := range b.Packets() {
				p := &b.Packets()[i]
				p.Edit()
				copy(p.Data[1:], p.Data) // as if a header of odd length had been taken off in front
				p.Data = p.Data[1:]
				p.Set(divertdrv.Pass, 0)
			}
			g.at = g.at[:0]
			if err := j.Complete(b); err != nil {
				t.Fatal(err)
			}
			for _, to := range g.at {
				if to%8 != 0 {
					t.Fatalf("given at %#x", to)
				}
			}
		}
	})
	if s := j.Stats(); s.Realigned != 4*packets || allocs != 0 {
		t.Errorf("realigned %d, %v allocations", s.Realigned, allocs)
	}
	closeAll(t, j, h)
	sim.Close()
}

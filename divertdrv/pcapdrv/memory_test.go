package pcapdrv_test

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/pcapdrv"
)

// repeated is a file of a head and then the same body n times.
type repeated struct {
	head, body []byte
	n          int
	rest       []byte
}

func (r *repeated) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		switch {
		case r.head != nil:
			r.rest, r.head = r.head, nil
		case r.n > 0:
			r.rest = r.body
			r.n--
		default:
			return 0, io.EOF
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// endless is a capture of n times two packets and an ARP frame, in either format.
func endless(pcapng bool, n int) (file *repeated, size int) {
	o := orders["little"]
	large := ipv4(hostA, hostB, 17, make([]byte, 1400))
	recs := []rec{{1, 2, ether(0x0800, large), 0}, {1, 2, ether(0x0806, make([]byte, 28)), 0}, {1, 3, ether(0x0800, packetBA), 0}}
	file = &repeated{head: pcapBytes(o, microMagic, 1), n: n}
	file.body = pcapBytes(o, microMagic, 1, recs...)[24:]
	if pcapng {
		g := &ng{order: o}
		file.head = g.section(0).iface(1, 0).b
		body := &ng{order: o}
		for _, r := range recs {
			body.enhanced(0, 5, r)
		}
		file.body = body.b
	}
	return file, n * len(file.body)
}

// A large capture needs no more memory than a small one: nothing of it is kept.
func TestMemoryIsFlat(t *testing.T) {
	for _, pcapng := range []bool{false, true} {
		file, size := endless(pcapng, 20_000)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		d := open(t, pcapdrv.Options{Reader: file, Writer: io.Discard})
		end := run(t, handle(t, d, "udp", 0), func(p *divertdrv.Packet) { p.Set(divertdrv.Pass, 0) })
		runtime.ReadMemStats(&after)
		if s := d.Stats(); !errors.Is(end, divertdrv.ErrShutdown) || s.PacketsWritten != 40_000 || s.FramesWritten != 20_000 {
			t.Errorf("%v; %+v", end, s)
		}
		const mayTake = 4 << 20
		if took := after.TotalAlloc - before.TotalAlloc; took > mayTake {
			t.Errorf("pcapng %v: allocated %d bytes for a capture of %d, want at most %d", pcapng, took, size, mayTake)
		}
	}
}

// From the file through the engine to the output nothing is allocated per packet.
func TestNoAllocationPerPacket(t *testing.T) {
	for _, pcapng := range []bool{false, true} {
		file, _ := endless(pcapng, 100_000)
		d := open(t, pcapdrv.Options{Reader: file, Writer: io.Discard})
		h := handle(t, d, "udp", 0)
		b := divertdrv.NewBatch(64, 1<<18)
		round := func() {
			if err := h.Recv(b); err != nil {
				t.Fatal(err)
			}
			for i := range b.Packets() {
				b.Packets()[i].Set(divertdrv.Pass, 0)
			}
			if err := h.Complete(b); err != nil {
				t.Fatal(err)
			}
		}
		round()
		if n := testing.AllocsPerRun(500, round); n != 0 {
			t.Errorf("pcapng %v: %v allocations per round, want none", pcapng, n)
		}
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A bomb of zeros, a thousand times smaller in the file, costs time for what it holds, and no memory.
func TestGzipBomb(t *testing.T) {
	bomb := zip(append(pcapBytes(orders["little"], microMagic, 101), make([]byte, 4<<20)...))
	r, err := pcapdrv.NewReader(bytes.NewReader(bomb), "bomb.pcap.gz")
	if err != nil {
		t.Fatal(err)
	}
	var f pcapdrv.Frame
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	n := 0
	for err = r.Next(&f); err == nil; err = r.Next(&f) {
		n++
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; err != io.EOF || n != 1<<18 || took > 1<<20 {
		t.Errorf("%d frames, %v, %d bytes allocated", n, err, took)
	}
}

package pcapdrv_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/weirnet/weir/divertdrv"
	"github.com/weirnet/weir/divertdrv/pcapdrv"
	"github.com/weirnet/weir/divertdrv/reason"
)

func open(t *testing.T, o pcapdrv.Options) *pcapdrv.Driver {
	t.Helper()
	d, err := pcapdrv.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return d
}

func handle(t *testing.T, d *pcapdrv.Driver, filter string, priority int16) *divertdrv.Handle {
	t.Helper()
	h, err := divertdrv.Open(filter, divertdrv.Network, &divertdrv.Options{Driver: d, Priority: priority})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// received is a packet that a handle saw.
type received struct {
	divertdrv.Address
	data []byte
}

// run receives until the end, gives each packet to judge, and checks that nothing was lost. It returns what ended it.
func run(t *testing.T, h *divertdrv.Handle, judge func(*divertdrv.Packet)) error {
	t.Helper()
	b := divertdrv.NewBatch(64, 1<<18)
	var end error
	for {
		if end = h.Recv(b); end != nil {
			break
		}
		for i := range b.Packets() {
			judge(&b.Packets()[i])
		}
		if err := h.Complete(b); err != nil {
			t.Errorf("complete: %v", err)
		}
	}
	if err := h.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	s := h.Stats()
	if err := s.Conserved(); err != nil || s.Lost != 0 || s.InBatch+s.Held != 0 {
		t.Errorf("%v; %+v", err, s)
	}
	return end
}

// receiveAll passes every packet and returns copies.
func receiveAll(t *testing.T, d *pcapdrv.Driver) (all []received) {
	t.Helper()
	end := run(t, handle(t, d, "true", 0), func(p *divertdrv.Packet) {
		p.Set(divertdrv.Pass, 0)
		all = append(all, received{*p.Addr, bytes.Clone(p.Data)})
	})
	if !errors.Is(end, divertdrv.ErrShutdown) {
		t.Errorf("ended by %v, want ErrShutdown", end)
	}
	return all
}

// mixed is a capture with bystanders of every kind among its packets, on two interfaces.
func mixed() []byte {
	n := (&ng{order: orders["little"]}).section(0).iface(276, 0).iface(105, 0)
	arp := append(sll2(0, 1, 0x0806), make([]byte, 28)...)
	for i := range uint64(100) {
		n.enhanced(0, 4*i, rec{data: append(sll2(4, 1, 0x0800), packetAB...)})
		n.enhanced(0, 4*i+1, rec{data: arp})
		n.enhanced(0, 4*i+2, rec{data: append(sll2(0, 1, 0x0800), packetBA...)})
		n.enhanced(1, 4*i+3, rec{data: []byte("beacon"), wire: 300})
	}
	return n.b
}

// Bystanders go to the output as they are, in their order, under their own link type, and are counted by kind.
func TestBystandersPassBy(t *testing.T) {
	var out bytes.Buffer
	d := open(t, pcapdrv.Options{Reader: bytes.NewReader(mixed()), Writer: &out})
	if got := receiveAll(t, d); len(got) != 200 {
		t.Errorf("%d packets, want 200", len(got))
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	in, _ := readAll(mixed())
	written, err := readAll(out.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	bystander := func(f pcapdrv.Frame) bool { return f.Link == 105 || f.Link == 276 && f.Data[0] == 8 && f.Data[1] == 6 }
	keep := func(all []pcapdrv.Frame) []pcapdrv.Frame {
		return slices.DeleteFunc(all, func(f pcapdrv.Frame) bool { return !bystander(f) })
	}
	if got, want := keep(written), keep(in); !slices.EqualFunc(got, want, sameFrame) {
		t.Errorf("got %d bystanders %+v\nwant %d %+v", len(got), got[0], len(want), want[0])
	}
	s := d.Stats()
	if got := fmt.Sprint(s.Bystanders); got != "[100 frames of link type 105 (IEEE802_11), which is not supported "+
		"100 frames of link type 276 (LINUX_SLL2) without IP: ARP]" {
		t.Error(got)
	}
	if s.Frames != 400 || s.Packets != 200 || s.PacketsWritten != 200 || s.FramesWritten != 200 {
		t.Errorf("%+v", s)
	}
	checkByTshark(t, out.Bytes())
}

// The table of bystanders is bounded; what is too much for it is counted together.
func TestBystandersOfManyKinds(t *testing.T) {
	var recs []rec
	for i := range uint16(1000) {
		recs = append(recs, rec{data: ether(0x9000+i, nil)})
	}
	d := open(t, pcapdrv.Options{Reader: bytes.NewReader(pcapBytes(orders["big"], nanoMagic, 1, recs...))})
	receiveAll(t, d)
	if s := d.Stats(); len(s.Bystanders) != pcapdrv.BystandersMax || s.Skipped() != 1000 || s.Frames != 1000 {
		t.Errorf("%d kinds, %d frames", len(s.Bystanders), s.Skipped())
	}
}

// The direction of a packet is in the output, so that the output can be the input of another run.
func TestOutputKeepsDirection(t *testing.T) {
	var out bytes.Buffer
	first := open(t, pcapdrv.Options{Reader: bytes.NewReader(mixed()), Writer: &out})
	want := receiveAll(t, first)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	got := receiveAll(t, open(t, pcapdrv.Options{Reader: &out}))
	if !slices.EqualFunc(got, want, func(a, b received) bool { return a.Address == b.Address && bytes.Equal(a.data, b.data) }) {
		t.Errorf("second run differs: %d and %d packets", len(got), len(want))
	}
}

// A packet passes with its own time, changed or not; one that is injected has the time it brings, or that of the packet read last.
func TestTimes(t *testing.T) {
	file := pcapBytes(orders["little"], microMagic, 101, rec{10, 1, packetAB, 0}, rec{20, 2, packetBA, 0})
	var out bytes.Buffer
	d := open(t, pcapdrv.Options{Reader: bytes.NewReader(file), Writer: &out})
	h := handle(t, d, "true", 0)
	var last divertdrv.Address
	err := run(t, h, func(p *divertdrv.Packet) {
		p.Edit()[8]-- // hop limit
		p.Set(divertdrv.Pass, 0)
		last = *p.Addr
		fresh := divertdrv.NewPacket(divertdrv.Address{}, bytes.Clone(packetBA))
		answer := p.Clone()
		answer.Addr.Timestamp = 15e9
		if n, err := h.Inject([]divertdrv.Packet{*fresh, *answer}); n != 2 || err != nil {
			t.Errorf("inject: %d, %v", n, err)
		}
		if fresh.Addr.Timestamp != 0 {
			t.Errorf("the caller's Address has the time %d now", fresh.Addr.Timestamp)
		}
	})
	if !errors.Is(err, divertdrv.ErrShutdown) || last.Timestamp != 20_000_002_000 || d.Close() != nil {
		t.Errorf("%v; last packet at %d", err, last.Timestamp)
	}
	frames, err := readAll(out.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	var times []int64
	for _, f := range frames {
		times = append(times, f.Time)
	}
	slices.Sort(times)
	if want := []int64{10_000_001_000, 10_000_001_000, 15e9, 15e9, 20_000_002_000, 20_000_002_000}; !slices.Equal(times, want) {
		t.Errorf("got %v, want %v", times, want)
	}
}

// Two handles share a capture: the higher sees a packet first, the lower what it let pass, and Stats may be asked meanwhile.
func TestTwoHandles(t *testing.T) {
	var out bytes.Buffer
	d := open(t, pcapdrv.Options{Reader: bytes.NewReader(mixed()), Writer: &out})
	high, low := handle(t, d, "true", 10), handle(t, d, "inbound", -10)
	var all sync.WaitGroup
	all.Go(func() {
		_ = run(t, high, func(p *divertdrv.Packet) { p.Edit()[8] = 9; p.Set(divertdrv.Pass, 0) })
	})
	all.Go(func() {
		_ = run(t, low, func(p *divertdrv.Packet) {
			if p.Data[8] != 9 {
				t.Error("the lower handle saw a packet before the higher")
			}
			p.Set(divertdrv.Drop, reason.Filter)
		})
	})
	for s := d.Stats(); s.Frames < 400; s = d.Stats() {
		if s.Frames != s.Packets+s.Skipped() {
			t.Fatalf("%+v", s)
		}
		runtime.Gosched()
	}
	all.Wait()
	h, l, s := high.Stats(), low.Stats(), d.Stats()
	if h.Passed != 200 || l.Dropped[reason.Filter] != 100 || s.PacketsWritten != 100 {
		t.Errorf("%+v\n%+v\n%+v", h, l, s)
	}
}

// What a handle drops is not in the output, what no filter matches is.
func TestDroppedIsNotWritten(t *testing.T) {
	var out bytes.Buffer
	d := open(t, pcapdrv.Options{Reader: bytes.NewReader(mixed()), Writer: &out})
	err := run(t, handle(t, d, "outbound", 0), func(p *divertdrv.Packet) { p.Set(divertdrv.Drop, reason.Filter) })
	if s := d.Stats(); !errors.Is(err, divertdrv.ErrShutdown) || s.Packets != 200 || s.PacketsWritten != 100 {
		t.Errorf("%v; %+v", err, s)
	}
}

// A capture that is cut off gives its packets, and then the reason instead of ErrShutdown.
func TestRecvReportsDamage(t *testing.T) {
	file := pcapBytes(orders["little"], microMagic, 101, slices.Repeat([]rec{{1, 2, packetAB, 0}}, 500)...)
	path := filepath.Join(t.TempDir(), "cut.pcap")
	if err := os.WriteFile(path, file[:len(file)-3], 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	d := open(t, pcapdrv.Options{In: path, Writer: &out})
	end := run(t, handle(t, d, "true", 0), func(p *divertdrv.Packet) { p.Set(divertdrv.Pass, 0) })
	var where *pcapdrv.ReadError
	if !errors.As(end, &where) || !errors.Is(end, pcapdrv.ErrTruncated) || where.Frames != 499 || where.File != path {
		t.Errorf("ended by %v", end)
	}
	if s := d.Stats(); s.PacketsWritten != 499 {
		t.Errorf("%+v", s)
	}
}
